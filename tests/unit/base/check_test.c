/* SPDX-License-Identifier: Apache-2.0 */
/* Assertions: nothing where they hold; a line and an abort where they do not. */
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_true_does_nothing(void **state)
{
    (void)state;
    int calls = 0;
    CHECK(++calls == 1);
    assert_int_equal(calls, 1);
}

/* In a child whose stderr is a pipe, and which leaves no core. */
static pid_t child_that_fails(int to)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(SIGABRT, SIG_DFL);
    (void)dup2(to, STDERR_FILENO);
    CHECK(1 + 1 == 3);
    _exit(0);
}

static void test_false_says_what_and_aborts(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = child_that_fails(ends[1]);
    assert_true(child > 0);
    (void)close(ends[1]);
    char text[512] = "";
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    (void)close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "check_test.c:"));
    assert_non_null(strstr(text, "child_that_fails: CHECK(1 + 1 == 3) does not hold\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_true_does_nothing),
        cmocka_unit_test(test_false_says_what_and_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
