/* What a C program does every day: arguments, environment, standard input, files, directories, numbers, time. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(const char *path) {
    DIR *dir = opendir(path);
    if (!dir) {
        printf("opendir %s: %s\n", path, strerror(errno));
        return;
    }
    char *names[16];
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) && count < 16;)
        if (entry->d_name[0] != '.') names[count++] = strdup(entry->d_name);
    closedir(dir);
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++) printf("%s/%s\n", path, names[i]);
}

int main(int argc, char **argv) {
    for (int i = 0; i < argc; i++) printf("argv[%d] = %s\n", i, argv[i]);
    printf("NAME = %s, HOME = %s\n", getenv("NAME"), getenv("HOME") ? "seen" : "unset");
    char line[64];
    while (fgets(line, sizeof line, stdin)) printf("stdin: %s", line);
    list("/in/data");

    FILE *in = fopen("/in/data/numbers", "r");
    double sum = 0, number;
    int numbers = 0;
    while (in && fscanf(in, "%lf", &number) == 1) sum += sqrt(number), numbers++;
    printf("%d numbers, the sum of their roots is %.12f\n", numbers, sum);

    FILE *refused = fopen("/in/data/numbers", "w");
    printf("writing an input: %s\n", refused ? "allowed" : strerror(errno));
    printf("outside: %s\n", fopen("/etc/passwd", "r") ? "seen" : strerror(errno));

    mkdir("/out/made", 0777);
    FILE *out = fopen("/tmp/draft", "w+");
    for (int i = 0; i < 1000; i++) fprintf(out, "%d squared is %d\n", i, i * i);
    fseek(out, -4, SEEK_END);
    fputs("END\n", out);
    fclose(out);
    rename("/tmp/draft", "/out/made/squares");
    struct stat info;
    stat("/out/made/squares", &info);
    printf("%ld bytes, modified %ld\n", (long)info.st_size, (long)info.st_mtime);

    time_t now = time(NULL);
    char text[32];
    strftime(text, sizeof text, "%Y-%m-%d", gmtime(&now));
    sleep(3600);
    printf("it is %s, and %ld s later\n", text, (long)(time(NULL) - now));
    unsigned char random[8];
    getentropy(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) printf("%02x", random[i]);
    fprintf(stderr, "done\n");
    return puts("") < 0;
}
