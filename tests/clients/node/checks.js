// SPDX-License-Identifier: Apache-2.0
// The checks that a program makes, told one by one; the test that runs it reads them.
'use strict';
let failed = false;

function ok(condition, name, detail = '') {
    if (!condition)
        failed = true;
    console.log(condition ? `ok ${name}` : `not ok ${name}: ${String(detail).replaceAll('\n', ' ').slice(0, 1000)}`);
}

function equal(found, wanted, name) {
    const [left, right] = [JSON.stringify(found), JSON.stringify(wanted)];
    ok(left === right, name, `found ${left}, wanted ${right}`);
}

/** Wait until something has become true. */
async function becomes(condition) {
    for (let i = 0; i < 1200 && !condition(); i++)
        await new Promise((resolve) => setTimeout(resolve, 50));
    return condition();
}

function finish() {
    process.exit(failed ? 1 : 0);
}

module.exports = { ok, equal, becomes, finish };
