/* Platforms as docker and containerd name and compare them. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>

#include "base/memory.h"
#include "oci/document_internal.h"

struct alias {
    const char *name;
    const char *architecture;
    const char *variant;
};

/* Other names of architectures: uname's, Debian's, and Go's own. */
static const struct alias aliases[] = {
    {"x86_64", "amd64", NULL},      {"x86-64", "amd64", NULL},
    {"amd64", "amd64", NULL},       {"aarch64", "arm64", NULL},
    {"arm64", "arm64", NULL},       {"armhf", "arm", "v7"},
    {"armel", "arm", "v6"},         {"armv7l", "arm", "v7"},
    {"armv8l", "arm", "v7"},        {"armv6l", "arm", "v6"},
    {"armv5tel", "arm", "v5"},      {"arm", "arm", NULL},
    {"i386", "386", NULL},          {"i486", "386", NULL},
    {"i586", "386", NULL},          {"i686", "386", NULL},
    {"386", "386", NULL},           {"ppc64le", "ppc64le", NULL},
    {"ppc64", "ppc64", NULL},       {"s390x", "s390x", NULL},
    {"riscv64", "riscv64", NULL},   {"mips64", "mips64", NULL},
    {"mips64le", "mips64le", NULL}, {"mips", "mips", NULL},
    {"mipsle", "mipsle", NULL},     {"loongarch64", "loong64", NULL},
    {"loong64", "loong64", NULL},   {"wasm", "wasm", NULL},
};

static const char *const systems[] = {"linux",  "darwin",  "windows",   "freebsd",
                                      "netbsd", "openbsd", "dragonfly", "solaris",
                                      "wasip1", "wasi",    "plan9",     "aix"};

static const struct alias *find_alias(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
        if (strcasecmp(aliases[i].name, name) == 0) {
            return &aliases[i];
        }
    }
    return NULL;
}

static char *lower(const char *text)
{
    char *copy = mem_strdup(text);
    for (char *p = copy; *p; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    return copy;
}

/* The one way to write a variant: "7" is "v7", arm64's v8 and amd64's v1 are what every machine of
 * that kind has and are left out. NULL: none. The caller's. */
static char *normal_variant(const char *architecture, const char *variant)
{
    if (!variant || !variant[0]) {
        return NULL;
    }
    char *text = isdigit((unsigned char)variant[0]) ? mem_printf("v%s", variant) : lower(variant);
    bool implied = (strcmp(architecture, "arm64") == 0 && strcmp(text, "v8") == 0) ||
                   (strcmp(architecture, "amd64") == 0 && strcmp(text, "v1") == 0);
    if (implied) {
        mem_freep(&text);
    }
    return text;
}

static void set_architecture(struct platform *p, const char *name, const char *variant)
{
    const struct alias *alias = find_alias(name);
    p->architecture = alias ? mem_strdup(alias->architecture) : lower(name);
    const char *given = variant && variant[0] ? variant : alias ? alias->variant : NULL;
    p->variant = normal_variant(p->architecture, given);
}

void platform_local(struct platform *out)
{
    struct utsname name;
    *out = (struct platform){.os = mem_strdup("linux")};
    set_architecture(out, uname(&name) == 0 ? name.machine : "amd64", NULL);
}

static bool is_system(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(systems); i++) {
        if (strcasecmp(systems[i], name) == 0) {
            return true;
        }
    }
    return strcasecmp(name, "macos") == 0;
}

/* Cuts TEXT at its slashes into at most 3 parts of letters, digits, "_", "-" and ".". */
static bool split(char *text, char *parts[3], size_t *count_out)
{
    size_t count = 0;
    for (char *p = text;; count++) {
        size_t len = strcspn(p, "/");
        if (count == 3 || len == 0) {
            return false;
        }
        for (size_t i = 0; i < len; i++) {
            if (!isalnum((unsigned char)p[i]) && !strchr("_-.", p[i])) {
                return false;
            }
        }
        parts[count] = p;
        if (!p[len]) {
            break;
        }
        p[len] = '\0';
        p += len + 1;
    }
    *count_out = count + 1;
    return true;
}

int platform_parse(const char *text, struct platform *out, struct error *err)
{
    char *parts[3] = {NULL, NULL, NULL};
    size_t count = 0;
    AUTO(mem_freep) char *copy = mem_strdup(text);
    if (strlen(text) > 100 || !split(copy, parts, &count)) {
        return error_set(err, ERR_USAGE,
                         "'%.100s' is no platform: write os/architecture[/variant], for example "
                         "linux/arm64",
                         text);
    }
    AUTO(platform_release) struct platform local = {0};
    platform_local(&local);
    AUTO(platform_release) struct platform made = {0};
    if (count == 1 && is_system(parts[0])) {
        set_architecture(&made, local.architecture, local.variant);
    } else if (count == 1 && find_alias(parts[0])) {
        set_architecture(&made, parts[0], NULL);
    } else if (count == 1) {
        return error_set(err, ERR_USAGE, "'%s' is neither an operating system nor an architecture",
                         text);
    } else {
        set_architecture(&made, parts[1], parts[2]);
    }
    bool only_architecture = count == 1 && !is_system(parts[0]);
    made.os = only_architecture                    ? mem_strdup(local.os)
              : strcasecmp(parts[0], "macos") == 0 ? mem_strdup("darwin")
                                                   : lower(parts[0]);
    *out = made;
    made = (struct platform){0};
    return 0;
}

void platform_copy(const struct platform *from, struct platform *out)
{
    *out = (struct platform){.os = mem_strdup(from->os),
                             .architecture = mem_strdup(from->architecture),
                             .variant = mem_strdup(from->variant)};
}

char *platform_format(const struct platform *p)
{
    return mem_printf("%s/%s%s%s", p->os ? p->os : "unknown",
                      p->architecture ? p->architecture : "unknown", p->variant ? "/" : "",
                      p->variant ? p->variant : "");
}

void platform_release(struct platform *p)
{
    free(p->os);
    free(p->architecture);
    free(p->variant);
    *p = (struct platform){0};
}

/* The number in "vN", 0 if it is none. */
static int variant_level(const char *variant)
{
    bool is_level =
        variant && variant[0] == 'v' && isdigit((unsigned char)variant[1]) && variant[2] == '\0';
    return is_level ? variant[1] - '0' : 0;
}

/* How far the variant OFFERED is from WANTED: 0 the same, more is worse, -1 cannot serve. A machine
 * of level N runs what was made for the levels below it; arm without a variant means v7. */
static int variant_distance(const char *architecture, const char *wanted, const char *offered)
{
    if (strcmp(wanted ? wanted : "", offered ? offered : "") == 0) {
        return 0;
    }
    bool arm = strcmp(architecture, "arm") == 0;
    bool levels = arm || strcmp(architecture, "amd64") == 0;
    int implied = arm ? 7 : 1;
    int want = wanted ? variant_level(wanted) : implied;
    int have = offered ? variant_level(offered) : implied;
    if (levels && want > 0 && have > 0 && have <= want) {
        return want - have;
    }
    return wanted ? -1 : 100 + have; /* nothing was asked for: any will do, the lowest best */
}

int platform_distance(const struct platform *wanted, const struct platform *offered)
{
    if (!offered->os || !offered->architecture || strcasecmp(wanted->os, offered->os) != 0) {
        return -1;
    }
    AUTO(platform_release) struct platform w = {0};
    AUTO(platform_release) struct platform o = {0};
    set_architecture(&w, wanted->architecture, wanted->variant);
    set_architecture(&o, offered->architecture, offered->variant);
    if (strcmp(w.architecture, o.architecture) != 0) {
        return -1;
    }
    return variant_distance(w.architecture, w.variant, o.variant);
}

bool platform_matches(const struct platform *wanted, const struct platform *offered)
{
    return platform_distance(wanted, offered) >= 0;
}
