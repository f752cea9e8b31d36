// SPDX-License-Identifier: Apache-2.0
// The checks that a program makes, told one by one; the test that runs it reads them.

import java.util.Objects;
import java.util.concurrent.ExecutionException;

final class Checks {
    interface Body {
        void run() throws Exception;
    }

    private static int failed = 0;

    static void ok(boolean condition, String name, Object detail) {
        if (!condition) {
            failed++;
        }
        System.out.println((condition ? "ok " : "not ok ") + name +
            (condition ? "" : ": " + String.valueOf(detail).replace('\n', ' ')));
    }

    static void equal(Object found, Object wanted, String name) {
        ok(Objects.equals(found, wanted), name, "found " + found + ", wanted " + wanted);
    }

    /** Run a part of a program; if it throws, that is a failed check, and the others still go on. */
    static void part(String name, Body body) {
        try {
            body.run();
        } catch (Throwable error) {
            ok(false, name, error);
            error.printStackTrace();
        }
    }

    /** What a future fails with: the exception's plain name, or "none". */
    static String failure(Body body) throws Exception {
        try {
            body.run();
        } catch (ExecutionException error) {
            return error.getCause().getClass().getSimpleName();
        }
        return "none";
    }

    static void finish() {
        System.out.flush();
        System.exit(failed == 0 ? 0 : 1);
    }
}
