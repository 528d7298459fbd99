/* Address templates over made-up interfaces. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/parse.h"
#include "base/str.h"
#include "conf/sockaddr.h"

static struct sockaddr_if make(const char *name, const char *cidr, bool up, bool is_default)
{
    struct sockaddr_if a = {.up = up, .is_default = is_default, .v6 = strchr(cidr, ':') != NULL};
    _cleanup_free_ char *text = xstrdup(cidr);
    char *slash = strchr(text, '/');
    uint64_t bits;

    *slash = 0;
    (void)snprintf(a.name, sizeof(a.name), "%s", name);
    assert_int_equal(parse_u64(slash + 1, &bits), 0);
    a.prefix_len = (unsigned)bits;
    assert_int_equal(inet_pton(a.v6 ? AF_INET6 : AF_INET, text, a.addr), 1);
    return a;
}

/* a host with everything: loopback, a private and a public interface, one that is down */
static size_t host(struct sockaddr_if ifs[16])
{
    size_t n = 0;

    ifs[n++] = make("lo", "127.0.0.1/8", true, false);
    ifs[n++] = make("lo", "::1/128", true, false);
    ifs[n++] = make("eth1", "10.1.2.3/24", true, false);
    ifs[n++] = make("eth0", "fd00::5/64", true, true);
    ifs[n++] = make("eth0", "192.168.7.9/20", true, true);
    ifs[n++] = make("eth0", "fe80::1/64", true, true);
    ifs[n++] = make("wan0", "8.8.4.4/29", true, false);
    ifs[n++] = make("wan0", "2a00:1450::7/64", true, false);
    ifs[n++] = make("down0", "10.0.0.9/8", false, false);
    ifs[n++] = make("doc0", "192.0.2.2/24", true, false);
    return n;
}

static char *eval(const char *text)
{
    struct sockaddr_if ifs[16];
    size_t n = host(ifs);
    struct err e = {0};
    char *ret;

    if (sockaddr_eval_with(text, ifs, n, &ret, &e) < 0)
        return xstrdup(e.text);
    return ret;
}

static void expect(const char *text, const char *result)
{
    _cleanup_free_ char *got = eval(text);

    assert_string_equal(got, result);
}

static void test_sockaddr_plain_text_passes(void **state)
{
    (void)state;
    expect("1.2.3.4", "1.2.3.4");
    expect("", "");
    expect("a b", "a b");
}

static void test_sockaddr_functions(void **state)
{
    (void)state;
    expect("{{ GetPrivateIP }}", "192.168.7.9"); /* the default route's, IPv4 first */
    expect("{{GetPrivateIP}}:4647", "192.168.7.9:4647");
    expect("{{ GetPublicIP }}", "8.8.4.4");
    expect("{{ GetInterfaceIP \"eth1\" }}", "10.1.2.3");
    expect("{{ GetInterfaceIP `eth` }}", "192.168.7.9"); /* unanchored; the larger network first */
    expect("{{ GetInterfaceIP \"^eth1$\" }}", "10.1.2.3");
    expect("{{ GetInterfaceIP \"down0\" }}", "10.0.0.9"); /* down interfaces count here */
    expect("{{ GetInterfaceIPs \"wan0\" }}",
           "multiple addresses found (\"8.8.4.4 2a00:1450::7\"), please configure one.");
    expect("{{ GetPublicIPs }}",
           "multiple addresses found (\"8.8.4.4 2a00:1450::7\"), please configure one.");
}

static void test_sockaddr_empty_results_are_errors(void **state)
{
    (void)state;
    expect("{{ GetInterfaceIP \"nope\" }}",
           "template \"{{ GetInterfaceIP \"nope\" }}\" evaluated to empty result");
    expect("{{ GetInterfaceIP \"lo\" }}", /* loopback is not forwardable */
           "template \"{{ GetInterfaceIP \"lo\" }}\" evaluated to empty result");
    expect("{{ GetInterfaceIP \"doc0\" }}",
           "template \"{{ GetInterfaceIP \"doc0\" }}\" evaluated to empty result");
}

static void test_sockaddr_pipes(void **state)
{
    (void)state;
    expect("{{ GetDefaultInterfaces | attr \"name\" }}", "eth0");
    expect("{{ GetPrivateInterfaces | attr \"address\" }}", "192.168.7.9");
    expect("{{ GetPublicInterfaces | include \"type\" \"ipv6\" | attr \"address\" }}",
           "2a00:1450::7");
    expect("{{ GetAllInterfaces | include \"name\" \"^lo$\" | limit 1 | attr \"address\" }}",
           "127.0.0.1");
    expect("{{ GetAllInterfaces | exclude \"flags\" \"loopback\" | limit 1 | attr \"name\" }}",
           "eth1");
    expect("{{ GetAllInterfaces | include \"network\" \"10.0.0.0/8|8.0.0.0/8\" | include \"flags\" "
           "\"up\" | sort \"-address\" | attr \"address\" }}",
           "10.1.2.3");
    expect("{{ GetAllInterfaces | include \"rfc\" \"6890\" | exclude \"network\" \"127.0.0.0/8\" | "
           "include \"address\" \"^192\\.168\" | join \"address\" \",\" }}",
           "192.168.7.9");
    expect("{{ GetAllInterfaces | sort \"size,name\" | offset 1 | attr \"mask_bits\" }}", "8");
}

static void test_sockaddr_mistakes(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"{{ Nope }}",                                                         "function \"Nope\" not defined"                        },
        {"{{ GetPrivateIP",                                                    "unclosed action"                                      },
        {"{{ }}",                                                              "missing value for command"                            },
        {"{{ GetPrivateIP \"x\" }}",                                           "wrong number of args for GetPrivateIP: want 0 got 1"  },
        {"{{ GetInterfaceIP }}",                                               "wrong number of args for GetInterfaceIP: want 1 got 0"},
        {"{{ GetInterfaceIP \"x }}",                                           "unterminated quoted string"                           },
        {"{{ GetInterfaceIP \"(\" }}",                                         "\"(\" is not a regular expression"                    },
        {"{{ GetAllInterfaces }}",
         "a list of addresses is no address: end with | attr \"address\""                                                             },
        {"{{ GetAllInterfaces | nope }}",                                      "function \"nope\" not defined"                        },
        {"{{ GetPrivateIP | attr \"name\" }}",                                 "attr needs addresses"                                 },
        {"{{ GetAllInterfaces | attr \"mac\" }}",                              "unsupported attribute \"mac\""                        },
        {"{{ GetAllInterfaces | sort \"x\" | attr \"name\" }}",                "unable to sort by \"x\""                              },
        {"{{ GetAllInterfaces | limit x | attr \"name\" }}",                   "limit needs a number, not \"x\""                      },
        {"{{ GetAllInterfaces | include \"x\" \"y\" | attr \"name\" }}",
         "invalid include selector \"x\" \"y\""                                                                                       },
        {"{{ GetAllInterfaces | include \"network\" \"y\" | attr \"name\" }}",
         "\"y\" is not a network"                                                                                                     },
        {"{{ GetAllInterfaces | exclude \"flags\" \"y\" | attr \"name\" }}",   "unknown flag \"y\""                                   },
        {"{{ GetAllInterfaces ; }}",                                           "unexpected \"; \""                                    },
        {"{{ GetAllInterfaces 1 2 3 4 }}",                                     "too many arguments for GetAllInterfaces"              },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *want =
            xasprintf("unable to parse address template \"%s\": %s", rows[i].text, rows[i].error);
        struct err e = {0};

        expect(rows[i].text, want);
        assert_int_equal(sockaddr_check(rows[i].text, &e), -EINVAL); /* also without interfaces */
        assert_string_equal(e.text, want);
    }
    assert_int_equal(sockaddr_check(NULL, NULL), 0);
    assert_int_equal(sockaddr_check("{{ GetDefaultInterfaces | attr \"name\" }}", NULL), 0);
}

static void test_sockaddr_no_default_route(void **state)
{
    struct sockaddr_if ifs[1];
    struct err e = {0};
    char *ret;

    (void)state;
    ifs[0] = make("eth0", "10.0.0.1/8", true, false);
    assert_true(sockaddr_eval_with("{{ GetDefaultInterfaces | attr \"name\" }}", ifs, 1, &ret, &e) <
                0);
    assert_non_null(strstr(e.text, "No default interface found"));
}

static void test_sockaddr_lists_this_host(void **state)
{
    _cleanup_free_ struct sockaddr_if *ifs = NULL;
    size_t n = 0;
    bool loopback = false;

    (void)state;
    assert_int_equal(sockaddr_host(&ifs, &n), 0);
    for (size_t i = 0; i < n; i++)
        loopback = loopback || (str_eq(ifs[i].name, "lo") && !ifs[i].v6 && ifs[i].addr[0] == 127 &&
                                ifs[i].prefix_len == 8);
    assert_true(n == 0 || loopback); /* a namespace without any is possible */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockaddr_plain_text_passes),
        cmocka_unit_test(test_sockaddr_functions),
        cmocka_unit_test(test_sockaddr_empty_results_are_errors),
        cmocka_unit_test(test_sockaddr_pipes),
        cmocka_unit_test(test_sockaddr_mistakes),
        cmocka_unit_test(test_sockaddr_no_default_route),
        cmocka_unit_test(test_sockaddr_lists_this_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
