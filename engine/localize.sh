#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes an archive in which only the functions of beck.h can be seen, so that a program that links it
# may use any other name itself:
#
#     localize.sh WHOLE.a OUTPUT.a
#
# The objects become one, and names that the shared library hides are made its own.
set -eu

object=$2.o
${LD:-ld} -r --whole-archive "$1" -o "$object"
${OBJCOPY:-objcopy} --localize-hidden "$object"
rm -f "$2"
${AR:-ar} rcsD "$2" "$object"
rm -f "$object"
