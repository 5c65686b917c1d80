/* What a wasmill job may use beside plain WASI: where things are, what exit codes mean, progress, logs, and a costly start made once.
 *
 * Owns: the names and the protocol of docs/guest-abi.md, for C and C++. Does not know: wasmill's host. A program with this header is an
 * ordinary WASI program and runs under any WASI runtime. Nothing has to be linked; nothing is allocated.
 */
#ifndef WASMILL_H
#define WASMILL_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a plan mounts inputs, and where what is left is the job's output. */
#define WASMILL_IN "/in"
#define WASMILL_OUT "/out"
/* The job's value, as JSON, where other jobs of an SDK are to take it as one. */
#define WASMILL_RESULT "/out/result.json"

/* Exit codes, as the jobs of the SDKs have them. */
enum {
    WASMILL_EXIT_JOB_ERROR = 1,    /* the job failed, and standard error says why */
    WASMILL_EXIT_NO_SUCH_JOB = 64, /* argv[0] is no job of this program */
    WASMILL_EXIT_BAD_INPUT = 65,   /* the input does not fit the job */
    WASMILL_EXIT_IO = 74           /* the input cannot be read, or the result not written */
};

/* `WASMILL_INIT(load) { … }` is called once, when the module is prepared, and every job starts from the memory that it leaves. It finds no
 * files, arguments, environment or streams but standard error. A program has one. In C++ it runs before constructors, which run again in each
 * job: what it makes must not be in an object that has one. */
#define WASMILL_INIT(name) __attribute__((export_name("wizer-initialize"))) void name(void)

/* What a remark may have at most, with all that is around it; a longer one is cut. */
#define WASMILL_REMARK_BYTES_MAX 4096

/* Says how far the job is, in any units. It is no part of the result. */
static inline void wasmill_progress(uint64_t done, uint64_t total) {
    fprintf(stderr, "\x1e{\"wasmill\":1,\"is\":\"progress\",\"done\":%llu,\"total\":%llu}\n", (unsigned long long)done,
            (unsigned long long)total);
}

/* Says something for people, formatted as by printf. `level` is "error", "warn", "info", "debug" or "trace". The text is UTF-8. It is no
 * part of the result. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static inline void wasmill_log(const char *level, const char *format, ...) {
    char text[WASMILL_REMARK_BYTES_MAX / 2];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (len < 0) return;
    size_t end = (size_t)len;
    if (end >= sizeof text) {
        /* The last character may be a part of one. */
        end = sizeof text - 1;
        do end--;
        while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80);
        text[end] = '\0';
    }
    char line[WASMILL_REMARK_BYTES_MAX];
    size_t at = (size_t)snprintf(line, sizeof line, "\x1e{\"wasmill\":1,\"is\":\"log\",\"level\":\"%.5s\",\"message\":\"", level);
    /* Room for an escape, the end of the line, and the NUL. */
    for (const char *from = text; *from && at + 10 < sizeof line; from++) {
        unsigned char byte = (unsigned char)*from;
        if (byte == '"' || byte == '\\')
            at += (size_t)snprintf(line + at, sizeof line - at, "\\%c", byte);
        else if (byte < 0x20)
            at += (size_t)snprintf(line + at, sizeof line - at, "\\u%04x", byte);
        else
            line[at++] = (char)byte;
    }
    /* Where it ends within a character, that is left out. */
    size_t whole = at;
    while (whole > 0 && ((unsigned char)line[whole - 1] & 0xc0) == 0x80) whole--;
    if (whole > 0 && (unsigned char)line[whole - 1] >= 0xc0) {
        unsigned char lead = (unsigned char)line[whole - 1];
        size_t wanted = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
        if (at - whole < wanted) at = whole - 1;
    }
    line[at] = '\0';
    fprintf(stderr, "%s\"}\n", line);
}

#ifdef __cplusplus
}
#endif

#endif
