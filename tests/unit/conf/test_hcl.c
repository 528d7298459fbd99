/* The reader: what a text becomes, and where its mistakes are. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "conf/draft.h"
#include "conf/hcl.h"

/* the tree as JSON text, by the walk that drivers' configuration takes */
static char *tree(const char *text)
{
    struct hcl_doc doc;
    struct err e = {0};
    char *out;

    if (hcl_parse("f", text, strlen(text), &doc, &e) < 0)
        return xstrdup(e.text);
    out = hcl_to_json(&doc.root);
    hcl_done(&doc);
    return out;
}

static void expect(const char *text, const char *tree_or_error)
{
    _cleanup_free_ char *got = tree(text);

    assert_string_equal(got, tree_or_error);
}

static void test_hcl_values(void **state)
{
    static const struct {
        const char *text, *tree;
    } rows[] = {
        {"",                                                "{}"                                  },
        {"  \n\t",                                          "{}"                                  },
        {"a = 1",                                           "{\"a\":1}"                           },
        {"a = -12",                                         "{\"a\":-12}"                         },
        {"a = 0x1F",                                        "{\"a\":31}"                          },
        {"a = 010",                                         "{\"a\":8}"                           },
        {"a = 00",                                          "{\"a\":0}"                           },
        {"a = 80.5",                                        "{\"a\":80.5}"                        },
        {"a = .5",                                          "{\"a\":0.5}"                         },
        {"a = 5.",                                          "{\"a\":5.0}"                         },
        {"a = 1e2",                                         "{\"a\":100.0}"                       },
        {"a = 1E-1",                                        "{\"a\":0.1}"                         },
        {"a = 08.5",                                        "{\"a\":8.5}"                         },
        {"a = true",                                        "{\"a\":true}"                        },
        {"a = false",                                       "{\"a\":false}"                       },
        {"a = \"x\"",                                       "{\"a\":\"x\"}"                       },
        {"a = 1 b = 2",                                     "{\"a\":1,\"b\":2}"                   },
        {"a = 12b = 3",                                     "{\"a\":12,\"b\":3}"                  },
        {"a =\n 1",                                         "{\"a\":1}"                           },
        {"a = 1,\nb = 2,",                                  "{\"a\":1,\"b\":2}"                   },
        {"\"a\" = 1",                                       "{\"a\":1}"                           },
        {"a-b.c_1 = 1",                                     "{\"a-b.c_1\":1}"                     },
        {"\xc3\xa9 = 1",                                    "{\"\xc3\xa9\":1}"                    },
        {"a { b = 1 }",                                     "{\"a\":{\"b\":1}}"                   },
        {"a\n{ b = 1 }",                                    "{\"a\":{\"b\":1}}"                   },
        {"a = { b = 1 }",                                   "{\"a\":{\"b\":1}}"                   },
        {"a { b = 1 }, c = 2",                              "{\"a\":{\"b\":1},\"c\":2}"           },
        {"a \"x\" y { b = 1 }",                             "{\"a\":{\"x\":{\"y\":{\"b\":1}}}}"   },
        {"a { b = 1 } a { b = 2 }",                         "{\"a\":[{\"b\":1},{\"b\":2}]}"       },
        {"a = []",                                          "{\"a\":[]}"                          },
        {"a = [1, \"x\", true, [2], { b = 3 },]",           "{\"a\":[1,\"x\",true,[2],{\"b\":3}]}"},
        {"a = [,1,,2,]",                                    "{\"a\":[1,2]}"                       },
        {"a = [ # one\n 1, // two\n /* three */ 2 ]",       "{\"a\":[1,2]}"                       },
        {"# c\n// d\n/* e\n * f */ a /* g */ = /**/ 1 # h", "{\"a\":1}"                           },
        {"a = \"1\"\r\nb = \"2\"\r\n",                      "{\"a\":\"1\",\"b\":\"2\"}"           },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect(rows[i].text, rows[i].tree);
}

/* the string that "a = ..." becomes */
static void expect_text(const char *literal, const char *value)
{
    _cleanup_free_ char *text = xasprintf("a = %s", literal);
    struct hcl_doc doc;
    struct err e = {0};

    assert_int_equal(hcl_parse("f", text, strlen(text), &doc, &e), 0);
    assert_int_equal(doc.root.members[0].value.kind, HCL_STRING);
    assert_string_equal(doc.root.members[0].value.text, value);
    hcl_done(&doc);
}

static void test_hcl_escapes(void **state)
{
    (void)state;
    expect_text("\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"\"", "\a\b\f\n\r\t\v\\\"");
    expect_text("\"\\101\\x42\"", "AB");
    expect_text("\"\\u00e9\\u20ac\\U0001F600\"", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    expect_text("\"\\xc3\\xa9\"", "\xc3\xa9");
    expect_text("\"'#//\"", "'#//");
}

static void test_hcl_interpolation_is_text(void **state)
{
    (void)state;
    expect_text("\"${attr.x}\"", "${attr.x}");
    expect_text("\"a${f(\"x\")}b\"", "a${f(\"x\")}b");
    expect_text("\"${{}}\"", "${{}}");
    expect_text("\"${\n}\"", "${\n}");
    expect_text("\"${\\\"}\"", "${\\\"}"); /* as written */
    expect_text("\"$x $${y}\"", "$x $${y}");
    expect_text("\"}{\"", "}{");
}

static void test_hcl_heredocs(void **state)
{
    (void)state;
    expect_text("<<EOT\nx\ny\nEOT\n", "x\ny\n");
    expect_text("<<EOT\nEOT\n", "");
    expect_text("<<EOT\n  x\n  EOT\n", "  x\n  "); /* blanks before the tag stay */
    expect_text("<<-EOT\n  x\n   y\n  EOT\n", "x\n y\n");
    expect_text("<<-EOT\n  x\n y\n  EOT\n", "  x\n y\n"); /* one line has less: nothing is cut */
    expect_text("<<-EOT\n\tx\n\tEOT\n", "x\n");
    expect_text("<<E1\n\\n ${ \" EOT\nE1\n", "\\n ${ \" EOT\n");
    expect_text("<<EOT\nEOT x\n EOTx\nEOT\n", "EOT x\n EOTx\n");
    expect("a = [<<E\nx\nE\n, 1]", "{\"a\":[\"x\\n\",1]}");
    expect("a = <<E\r\nx\r\nE\r\nb = 1", "{\"a\":\"x\\n\",\"b\":1}");
}

/* places: lines and columns from 1, columns in characters */
static void test_hcl_places(void **state)
{
    static const char text[] = "a = 1\n\xc3\xa9 = \"\xc3\xa9\" b {\n  c = [\n 2 ]\n}";
    struct hcl_doc doc;
    struct err e = {0};
    const struct hcl_member *m;

    (void)state;
    assert_int_equal(hcl_parse("f", text, strlen(text), &doc, &e), 0);
    m = doc.root.members;
    assert_int_equal(doc.root.n_members, 3);
    assert_int_equal(m[0].words[0].pos.line, 1);
    assert_int_equal(m[0].words[0].pos.column, 1);
    assert_int_equal(m[0].value.pos.column, 5);
    assert_int_equal(m[1].words[0].pos.line, 2);
    assert_int_equal(m[1].value.pos.column, 5);
    assert_int_equal(m[2].words[0].pos.column, 9);
    assert_int_equal(m[2].value.pos.column, 11);
    assert_int_equal(m[2].value.members[0].words[0].pos.line, 3);
    assert_int_equal(m[2].value.members[0].words[0].pos.column, 3);
    assert_int_equal(m[2].value.members[0].value.items[0].pos.line, 4);
    assert_int_equal(m[2].value.members[0].value.items[0].pos.column, 2);
    hcl_done(&doc);
}

static void test_hcl_errors(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"a = \"x",                      "f:1:7: literal not terminated (the string starts at 1:5)"            },
        {"a = \"x\ny\"",                 "f:1:7: literal not terminated (the string starts at 1:5)"            },
        {"a = \"${x\"",                  "f:1:10: literal not terminated (the string starts at 1:5)"           },
        {"a = \"\\q\"",                  "f:1:7: illegal char escape"                                          },
        {"a = \"${\\q}\"",               "f:1:9: illegal char escape"                                          },
        {"a = \"\\x4\"",                 "f:1:9: illegal char escape"                                          },
        {"a = \"\\u12\"",                "f:1:10: illegal char escape"                                         },
        {"a = \"\\ud800\"",              "f:1:8: illegal char escape: not a Unicode character"                 },
        {"a = \"\\U00110000\"",          "f:1:8: illegal char escape: not a Unicode character"                 },
        {"a = \"\\400\"",                "f:1:10: illegal char escape"                                         },
        {"a = \"\\000\"",                "f:1:5: the string contains a NUL character"                          },
        {"a = \"\\xff\"",                "f:1:5: the string is not valid UTF-8"                                },
        {"\"\\x00\" = 1",                "f:1:1: the string contains a NUL character"                          },
        {"\xef\xbb\xbf"
         "a = 1",               "f:1:1: illegal char: a byte order mark"                              },
        {"a = 1 # \xff",                 "f:1:9: illegal UTF-8 encoding"                                       },
        {"# \xc3\xa9\na = \"\xc0\x80\"", "f:2:6: illegal UTF-8 encoding"                                       },
        {"a = <<EOT\nx",                 "f:2:2: heredoc not terminated (no line with only EOT after line 1)"  },
        {"a = <<EOT\nx\nEOT",            "f:3:4: heredoc not terminated (no line with only EOT after line 1)"  },
        {"a = <<-E\nx\nE\n",
         "f:4:1: heredoc not terminated (no line with only E, indented, after line 1)"                         },
        {"a = <<E x\n",                  "f:1:8: invalid characters in heredoc anchor"                         },
        {"a = <<\n",                     "f:1:7: zero-length heredoc anchor"                                   },
        {"a = <<-\n",                    "f:1:8: zero-length heredoc anchor"                                   },
        {"a = <E",                       "f:1:6: heredoc expected second '<', didn't see it"                   },
        {"/* x",                         "f:1:5: comment not terminated (it starts at line 1)"                 },
        {"/ x",                          "f:1:1: expected '/' for comment"                                     },
        {"a = 09",                       "f:1:7: illegal octal number"                                         },
        {"a = 0x",                       "f:1:7: illegal hexadecimal number"                                   },
        {"a = 1e",                       "f:1:7: illegal exponent: digits expected"                            },
        {"a = 12abc",                    "f:1:10: key 'abc' expected start of object ('{') or assignment ('=')"},
        {"a = null",                     "f:1:5: Unknown token: IDENT null (text needs double quotes, switches are "
                     "true and false)"                                                     },
        {"a = -x",                       "f:1:5: Unknown token: SUB -"                                         },
        {"a = ",                         "f:1:5: the value is missing"                                         },
        {"a =\n= 1",                     "f:2:1: Unknown token: ASSIGN ="                                      },
        {"a b = 1",                      "f:1:5: nested object expected: LBRACE got: ASSIGN"                   },
        {"= 1",                          "f:1:1: no object keys found!"                                        },
        {"{",                            "f:1:2: JSON: a key in double quotes expected, the file ends"         },
        {"a {{",                         "f:1:4: expected: IDENT | STRING got: LBRACE"                         },
        {"a { b = 1",
         "f:1:10: object expected closing RBRACE got: EOF (the block starts at line 1)"                        },
        {"a = 1 }",                      "f:1:7: expected: IDENT | STRING | ASSIGN | LBRACE got: RBRACE }"     },
        {"a = 1,,",                      "f:1:7: expected: IDENT | STRING | ASSIGN | LBRACE got: COMMA ,"      },
        {"a = 1; b = 2",                 "f:1:6: illegal char ; (nothing is needed between settings)"          },
        {"a: 1",                         "f:1:2: illegal char : (settings are written with =)"                 },
        {"a = 'x'",                      "f:1:5: illegal char (strings are written with \")"                   },
        {"a = [1 2]",                    "f:1:8: error parsing list, expected comma or list end, got: NUMBER"  },
        {"a = [1",                       "f:1:7: error parsing list, expected comma or list end, got: EOF"     },
        {"a = [1,",                      "f:1:8: error parsing list, expected comma or list end, got: EOF"     },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect(rows[i].text, rows[i].error);
}

static void test_hcl_nul_byte(void **state)
{
    struct hcl_doc doc;
    struct err e = {0};

    (void)state;
    assert_int_equal(hcl_parse("f", "a = 1\n\0", 7, &doc, &e), -EINVAL);
    assert_string_equal(e.text, "f:2:1: unexpected null character (0x00)");
}

static char *repeat(const char *head, const char *piece, size_t n, const char *tail)
{
    struct buf b = BUF_INIT(2 * READ_CAP_CONFIG);
    size_t len;

    buf_add_str(&b, head);
    while (n-- > 0)
        buf_add_str(&b, piece);
    buf_add_str(&b, tail);
    return (char *)buf_take(&b, &len);
}

static void expect_built(char *take_text, const char *error)
{
    _cleanup_free_ char *text = take_text;
    _cleanup_free_ char *got = tree(text);

    assert_string_equal(got, error);
}

static void test_hcl_ceilings(void **state)
{
    _cleanup_free_ char *large = repeat("# ", "x", READ_CAP_CONFIG, "");
    struct hcl_doc doc;
    struct err e = {0};

    (void)state;
    expect_built(repeat("a = ", "[", HCL_DEPTH_MAX + 1, ""),
                 "f:1:69: nested more than 64 levels deep");
    expect_built(repeat("", "a{", HCL_DEPTH_MAX + 1, ""),
                 "f:1:130: nested more than 64 levels deep");
    expect_built(repeat("{\"a\":", "[", HCL_DEPTH_MAX, ""),
                 "f:1:69: nested more than 64 levels deep");
    expect_built(repeat("a = [", "1,", HCL_VALUES_MAX, "]"),
                 "f:1:20002: more than 10000 values in one file");
    expect_built(repeat("{\"a\":[", "1,", HCL_VALUES_MAX, "1]}"),
                 "f:1:20003: more than 10000 values in one file");
    assert_int_equal(hcl_parse("f", large, strlen(large), &doc, &e), -EFBIG);
    assert_string_equal(e.text, "f: larger than 4 MiB");
}

static void test_hcl_json_values(void **state)
{
    static const struct {
        const char *text, *tree;
    } rows[] = {
        {"{}",                                                       "{}"                                   },
        {" \n{ } \n",                                                "{}"                                   },
        {"{\"a\":1,\"b\":-2.5e1,\"c\":true,\"d\":false,\"e\":null}",
         "{\"a\":1,\"b\":-25.0,\"c\":true,\"d\":false,\"e\":null}"                                          },
        {"{\"a\":[],\"b\":[1,[2],{\"c\":3}]}",                       "{\"a\":[],\"b\":[1,[2],{\"c\":3}]}"   },
        {"{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"}",            "{\"a\":\"\\\"\\\\/\\b\\f\\n\\r\\tA\"}"},
        {"{\"a\":\"\\ud83d\\ude00\"}",                               "{\"a\":\"\xf0\x9f\x98\x80\"}"         },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect(rows[i].text, rows[i].tree);
}

static void test_hcl_json_errors(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"{\"a\":1} x",                "f:1:9: JSON: nothing may follow the object"              },
        {"{\"a\":1,}",                 "f:1:8: JSON: a key in double quotes expected, got '}'"   },
        {"{\"a\" 1}",                  "f:1:6: JSON: ':' expected, got '1'"                      },
        {"{\"a\":1 \"b\":2}",          "f:1:8: JSON: ',' or '}' expected, got '\"'"              },
        {"{\"a\":[1,]}",               "f:1:9: JSON: a value expected, got ']'"                  },
        {"{\"a\":[1 2]}",              "f:1:9: JSON: ',' or ']' expected, got '2'"               },
        {"{\"a\":01}",                 "f:1:6: JSON: numbers cannot start with 0"                },
        {"{\"a\":1.}",                 "f:1:8: JSON: a digit expected, got '}'"                  },
        {"{\"a\":1e}",                 "f:1:8: JSON: a digit expected, got '}'"                  },
        {"{\"a\":-}",                  "f:1:7: JSON: a digit expected, got '}'"                  },
        {"{\"a\":tru}",                "f:1:6: JSON: a value expected, got 't'"                  },
        {"{\"a\":\"x}",                "f:1:9: literal not terminated (the string starts at 1:6)"},
        {"{\"a\":\"\t\"}",             "f:1:7: JSON: a control character needs an escape"        },
        {"{\"a\":\"\\a\"}",            "f:1:8: illegal char escape"                              },
        {"{\"a\":\"\\ud800\"}",        "f:1:9: illegal char escape: not a Unicode character"     },
        {"{\"a\":\"\\ud800\\u0041\"}", "f:1:9: illegal char escape: half a surrogate pair"       },
        {"{\"a\":\"\\u0000\"}",        "f:1:6: the string contains a NUL character"              },
        {"{\n \"a\":\n  ?}",           "f:3:3: JSON: a value expected, got '?'"                  },
        {"{\"a\":\x01}",               "f:1:6: JSON: a value expected"                           },
        {"{// x\n}",                   "f:1:2: JSON: a key in double quotes expected, got '/'"   },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect(rows[i].text, rows[i].error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hcl_values),
        cmocka_unit_test(test_hcl_escapes),
        cmocka_unit_test(test_hcl_interpolation_is_text),
        cmocka_unit_test(test_hcl_heredocs),
        cmocka_unit_test(test_hcl_places),
        cmocka_unit_test(test_hcl_errors),
        cmocka_unit_test(test_hcl_nul_byte),
        cmocka_unit_test(test_hcl_ceilings),
        cmocka_unit_test(test_hcl_json_values),
        cmocka_unit_test(test_hcl_json_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
