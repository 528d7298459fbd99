/* Bind and advertise addresses; lists of ports; host:port. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "conf/ports.h"

/* "bind advertise" or the error */
static char *http(const char *bind, const char *address, const char *advertise, bool is_default,
                  bool dev)
{
    struct conf c = {
        .bind_addr = (char *)(uintptr_t)bind,
        .address_http = (char *)(uintptr_t)address,
        .advertise_http = (char *)(uintptr_t)advertise,
        .port_http = 4646,
        .bind_default = is_default,
        .dev = dev,
    };
    _cleanup_free_ char *b = NULL, *a = NULL;
    struct err e = {0};

    if (conf_http_addresses(&c, &b, &a, &e) < 0)
        return xstrdup(e.text);
    return xasprintf("%s %s", b, a);
}

static void expect(char *take_got, const char *want)
{
    _cleanup_free_ char *got = take_got;

    assert_string_equal(got, want);
}

static void test_addr_given_is_told(void **state)
{
    (void)state;
    expect(http("10.0.0.1", NULL, NULL, false, false), "10.0.0.1:4646 10.0.0.1:4646");
    expect(http("10.0.0.1", "10.0.0.2", NULL, false, false), "10.0.0.2:4646 10.0.0.2:4646");
    expect(http("0.0.0.0", NULL, "1.2.3.4", false, false), "0.0.0.0:4646 1.2.3.4:4646");
    expect(http("0.0.0.0", NULL, "1.2.3.4:80", false, false), "0.0.0.0:4646 1.2.3.4:80");
    expect(http("0.0.0.0", NULL, "node1.example", false, false), "0.0.0.0:4646 node1.example:4646");
    expect(http("::", NULL, "::1", false, false), "[::]:4646 [::1]:4646");
    expect(http("[::]", NULL, "[fd00::1]", false, false), "[::]:4646 [fd00::1]:4646");
    expect(http("fd00::1", NULL, "[fd00::1]:80", false, false), "[fd00::1]:4646 [fd00::1]:80");
    expect(http("localhost", NULL, "h", false, false), "127.0.0.1:4646 h:4646");
}

static void test_addr_loopback_is_not_told_unasked(void **state)
{
    (void)state;
    expect(http("127.0.0.1", NULL, NULL, false, false),
           "Failed to parse HTTP advertise address (, 127.0.0.1, 4646, false): Defaulting "
           "advertise to "
           "localhost is unsafe, please set advertise manually (advertise { http = \"...\" })");
    expect(http("127.0.0.1", NULL, NULL, true, false), "127.0.0.1:4646 127.0.0.1:4646");
    expect(http("127.0.0.1", NULL, NULL, false, true), "127.0.0.1:4646 127.0.0.1:4646");
    expect(http("127.0.0.1", NULL, "127.0.0.1", false, false), "127.0.0.1:4646 127.0.0.1:4646");
}

static void test_addr_mistakes(void **state)
{
    (void)state;
    expect(
        http("nope", NULL, NULL, false, false),
        "Failed to parse HTTP address: \"nope\" is not an IP address (host names are not looked up "
        "here)");
    expect(http("1.2.3.4", "1.1.1.1 2.2.2.2", NULL, false, false),
           "Failed to parse HTTP address: one address is supported, not \"1.1.1.1 2.2.2.2\"");
    expect(http("{{ GetInterfaceIP \"no such\" }}", NULL, NULL, false, false),
           "Bind address resolution failed: template \"{{ GetInterfaceIP \"no such\" }}\" "
           "evaluated to "
           "empty result");
    expect(http("1.2.3.4", "{{ X }}", NULL, false, false),
           "Failed to parse HTTP address: unable to parse address template \"{{ X }}\": function "
           "\"X\" "
           "not defined");
    expect(
        http("1.2.3.4", NULL, "a:b:c", false, false),
        "Failed to parse HTTP advertise address (a:b:c, 1.2.3.4, 4646, false): \"a:b:c\": too many "
        "colons in address");
}

static void test_addr_rpc(void **state)
{
    struct conf c = {.bind_addr = (char *)(uintptr_t) "127.0.0.1", .port_rpc = 4647};
    _cleanup_free_ char *b = NULL, *a = NULL;
    struct err e = {0};

    (void)state;
    assert_int_equal(conf_rpc_addresses(&c, &b, &a, &e), -EINVAL);
    assert_string_equal(e.text,
                        "Failed to parse RPC advertise address: Defaulting advertise to "
                        "localhost is unsafe, please set advertise manually (advertise { rpc = "
                        "\"...\" })");
    c.advertise_rpc = (char *)(uintptr_t) "10.1.1.1";
    c.address_rpc = (char *)(uintptr_t) "10.1.1.2";
    assert_int_equal(conf_rpc_addresses(&c, &b, &a, &e), 0);
    assert_string_equal(b, "10.1.1.2:4647");
    assert_string_equal(a, "10.1.1.1:4647");
}

static void test_ports_lists(void **state)
{
    static const struct {
        const char *text, *error; /* NULL = fine */
    } rows[] = {
        {NULL,                   NULL                                                                    },
        {"",                     NULL                                                                    },
        {"  ",                   NULL                                                                    },
        {"22",                   NULL                                                                    },
        {"22,80,8500-8600",      NULL                                                                    },
        {" 22 , 80 - 90 ",       NULL                                                                    },
        {"1-65535",              NULL                                                                    },
        {"80,",                  "can't specify empty port"                                              },
        {",",                    "can't specify empty port"                                              },
        {"0",                    "port must be > 0"                                                      },
        {"65536",                "port must be < 65536 but found 65536"                                  },
        {"10-5",                 "invalid range: ending value (5) less than starting (10) value"         },
        {"1-2-3",                "can only parse single port numbers or port ranges (ex. 80,100-120,150)"},
        {"abc",                  "strconv.ParseUint: parsing \"abc\": invalid syntax"                    },
        {"1-",                   "strconv.ParseUint: parsing \"\": invalid syntax"                       },
        {"-1",                   "strconv.ParseUint: parsing \"\": invalid syntax"                       },
        {"99999999999999999999",
         "strconv.ParseUint: parsing \"99999999999999999999\": value out of range"                       },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = {0};

        assert_int_equal(ports_check(rows[i].text, &e), rows[i].error ? -EINVAL : 0);
        assert_string_equal(e.text, rows[i].error ? rows[i].error : "");
    }
}

static void test_ports_host_port(void **state)
{
    static const struct {
        const char *text, *host; /* NULL = an error */
        int64_t port;
    } rows[] = {
        {"h",             "h",         0    },
        {"h:1",           "h",         1    },
        {"1.2.3.4:65535", "1.2.3.4",   65535},
        {"::1",           "::1",       0    },
        {"[::1]",         "::1",       0    },
        {"[::1]:7",       "::1",       7    },
        {"fe80::1%e",     "fe80::1%e", 0    },
        {"h:",            NULL,        0    },
        {"h:0",           NULL,        0    },
        {"h:65536",       NULL,        0    },
        {"h:x",           NULL,        0    },
        {"",              NULL,        0    },
        {":80",           NULL,        0    },
        {"a:b:c",         NULL,        0    },
        {"[::1",          NULL,        0    },
        {"[::1]x",        NULL,        0    },
        {"a b",           NULL,        0    },
        {"http://h",      NULL,        0    },
        {"a/b",           NULL,        0    },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *host = NULL;
        struct err e = {0};
        int64_t port = -1;
        int r = host_port_split(rows[i].text, &host, &port, &e);

        if (!rows[i].host) {
            assert_int_equal(r, -EINVAL);
            assert_true(*e.text);
            continue;
        }
        assert_int_equal(r, 0);
        assert_string_equal(host, rows[i].host);
        assert_int_equal(port, rows[i].port);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addr_given_is_told),
        cmocka_unit_test(test_addr_loopback_is_not_told_unasked),
        cmocka_unit_test(test_addr_mistakes),
        cmocka_unit_test(test_addr_rpc),
        cmocka_unit_test(test_ports_lists),
        cmocka_unit_test(test_ports_host_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
