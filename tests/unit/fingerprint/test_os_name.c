#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fingerprint/os_name.h"
#include "tests/support/probe_ctx.h"

struct file {
    const char *name, *text;
};

/* puts files into /etc of a new root and looks */
static void check(const struct file *files, size_t n, const char *name, const char *version)
{
    _cleanup_free_ char *root = probe_root();
    struct probe_ctx ctx = {.root = root};
    struct os_name os = {0};

    for (size_t i = 0; i < n; i++)
        probe_put(root, files[i].name, files[i].text);
    os_name_find(&ctx, &os);
    assert_string_equal(str_or_empty(os.name), name);
    assert_string_equal(str_or_empty(os.version), version);
    os_name_done(&os);
}

#define CHECK(name, version, ...)                                                                  \
    check((const struct file[]){__VA_ARGS__},                                                      \
          sizeof((const struct file[]){__VA_ARGS__}) / sizeof(struct file), name, version)

static void test_os_debian_and_what_derives_from_it(void **state)
{
    (void)state;
    CHECK("debian", "12.11", {"etc/debian_version", "12.11\n"});
    CHECK("raspbian", "11.8", {"etc/debian_version", "11.8\n"},
          {"usr/bin/raspi-config", "#!/bin/sh\n"});
    CHECK("ubuntu", "22.04", {"etc/debian_version", "bookworm/sid\n"},
          {"etc/lsb-release", "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\n"});
    CHECK("linuxmint", "21.3", {"etc/debian_version", "bookworm/sid\n"},
          {"etc/lsb-release", "DISTRIB_ID=LinuxMint\nDISTRIB_RELEASE=21.3\n"});
    CHECK("cumuluslinux", "5.9", {"etc/debian_version", "12\n"},
          {"etc/lsb-release", "DISTRIB_ID=\"Cumulus Linux\"\nDISTRIB_RELEASE=5.9\n"});
    /* an lsb file of something else does not matter */
    CHECK("debian", "12.1", {"etc/debian_version", "12.1\n"},
          {"etc/lsb-release", "DISTRIB_ID=Debian\nDISTRIB_RELEASE=12\n"});
}

static void test_os_redhat_family(void **state)
{
    (void)state;
    CHECK("rocky", "8.7", {"etc/redhat-release", "Rocky Linux release 8.7 (Green Obsidian)\n"});
    CHECK("fedora", "37", {"etc/redhat-release", "Fedora release 37 (Thirty Seven)\n"});
    CHECK("fedora", "rawhide", {"etc/redhat-release", "Fedora release 41 (Rawhide)\n"});
    CHECK("redhat", "9.4", {"etc/redhat-release", "Red Hat Enterprise Linux release 9.4 (Plow)\n"});
    CHECK("centos", "7.9.2009", {"etc/redhat-release", "CentOS Linux release 7.9.2009 (Core)\n"});
    CHECK("oracle", "8.9", {"etc/oracle-release", "Oracle Linux Server release 8.9\n"},
          {"etc/redhat-release", "Red Hat Enterprise Linux release 8.9 (Ootpa)\n"});
    CHECK("amazon", "2", {"etc/system-release", "Amazon Linux release 2 (Karoo)\n"});
}

static void test_os_others(void **state)
{
    (void)state;
    CHECK("alpine", "3.19.1", {"etc/alpine-release", "3.19.1\n"});
    CHECK("arch", "", {"etc/arch-release", "Arch\n"});
    CHECK("gentoo", "2.14", {"etc/gentoo-release", "Gentoo Base System release 2.14\n"});
    CHECK("slackware", "15.0", {"etc/slackware-version", "Slackware 15.0\n"});
    CHECK("opensuse", "13.2", {"etc/SuSE-release", "openSUSE 13.2 (x86_64)\nVERSION = 13.2\n"});
    CHECK("suse", "11.4",
          {"etc/SuSE-release", "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\n"
                               "PATCHLEVEL = 4\n"});
    CHECK("nixos", "23.11",
          {"etc/os-release", "VERSION=\"23.11 (Tapir)\"\nID=nixos\nVERSION_ID=\"23.11\"\n"});
    CHECK("amazon", "2023", {"etc/os-release", "ID=\"amzn\"\nVERSION_ID=\"2023\"\n"});
}

/* gopsutil: a file that is there but empty does not count */
static void test_os_empty_files_do_not_count(void **state)
{
    (void)state;
    CHECK("alpine", "3.18.0", {"etc/arch-release", ""}, {"etc/alpine-release", "3.18.0\n"});
}

static void test_os_last_resort_is_lsb(void **state)
{
    (void)state;
    CHECK("redhat", "6", {"etc/lsb-release", "DISTRIB_ID=RedHat\nDISTRIB_RELEASE=6\n"});
    CHECK("void", "1", {"etc/lsb-release", "DISTRIB_ID=\"Void\"\nDISTRIB_RELEASE=1\n"});
    CHECK("", "", {"etc/hostname", "x\n"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_os_debian_and_what_derives_from_it),
        cmocka_unit_test(test_os_redhat_family),
        cmocka_unit_test(test_os_others),
        cmocka_unit_test(test_os_empty_files_do_not_count),
        cmocka_unit_test(test_os_last_resort_is_lsb),
    };

    return cmocka_run_group_tests_name("fingerprint/os_name", tests, NULL, NULL);
}
