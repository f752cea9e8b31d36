// SPDX-License-Identifier: Apache-2.0

// Package checks tells the checks of a program, one by one; the test that runs it reads them.
package checks

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"time"
)

// Records are made and read by each of the programs.
const Records = 300

var failed bool

// Ok is one check.
func Ok(condition bool, name string, detail any) {
	if condition {
		fmt.Println("ok", name)
		return
	}
	failed = true
	fmt.Println("not ok " + name + ": " + strings.ReplaceAll(fmt.Sprint(detail), "\n", " "))
}

// Equal compares what was found with what was wanted.
func Equal(found, wanted any, name string) {
	Ok(reflect.DeepEqual(found, wanted), name, fmt.Sprintf("found %v, wanted %v", found, wanted))
}

// Must ends the program where an error is none that a check is about.
func Must(err error) {
	if err != nil {
		Ok(false, "the program", fmt.Sprintf("%v %s", err, debug.Stack()))
		os.Exit(1)
	}
}

// Finish ends the program.
func Finish() {
	if failed {
		os.Exit(1)
	}
}

// Soon is how long anything may take on a slow machine.
func Soon() context.Context {
	ctx, _ := context.WithTimeout(context.Background(), 60*time.Second) //nolint
	return ctx
}

// Version prints which version of a module is in the program.
func Version(path string) {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == path {
			fmt.Println("version", module.Path, module.Version)
		}
	}
}
