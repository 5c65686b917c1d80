/* A job in C with wasmill.h: a table made once, progress, a log, and a result that jobs of the SDKs can take. */
#include <stdio.h>
#include <string.h>

#include "wasmill.h"

static unsigned letters[256];
static unsigned times_made;

WASMILL_INIT(make_table) {
    for (int byte = 0; byte < 256; byte++) letters[byte] = (byte | 32) >= 'a' && (byte | 32) <= 'z';
    times_made++;
    wasmill_log("info", "nobody hears this");
}

int main(int argc, char **argv) {
    if (argc < 1 || strcmp(argv[0], "letters") != 0) {
        fprintf(stderr, "error: this program has no job `%s`; it has `letters`\n", argc ? argv[0] : "");
        return WASMILL_EXIT_NO_SUCH_JOB;
    }
    FILE *in = fopen(WASMILL_IN "/text", "r");
    if (!in) {
        fprintf(stderr, "error: nothing is mounted at " WASMILL_IN "/text\n");
        return WASMILL_EXIT_BAD_INPUT;
    }
    unsigned long found = 0, bytes = 0;
    for (int byte; (byte = fgetc(in)) != EOF; bytes++) found += letters[byte];
    wasmill_progress(bytes, bytes);
    wasmill_log("warn", "%lu \"letters\"\nin %lu bytes \\ größer", found, bytes);
    char text[5000];
    memset(text, 0xc3, sizeof text);
    for (size_t i = 1; i < sizeof text; i += 2) text[i] = (char)0xa4;
    text[sizeof text - 1] = '\0';
    wasmill_log("info", "%s", text);
    wasmill_log("debug", "made %u times", times_made);
    FILE *out = fopen(WASMILL_RESULT, "w");
    if (!out) return WASMILL_EXIT_IO;
    fprintf(out, "%lu\n", found);
    return fclose(out) ? WASMILL_EXIT_IO : 0;
}
