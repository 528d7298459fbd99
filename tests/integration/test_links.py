"""What the programs are made of: only the libraries that design and docs/decisions/0001 allow, few in all, and picketd small."""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from programs import BIN

# What each program may name itself (NEEDED), besides the C library.
LIBC = {'libc.so.6', 'libm.so.6'}
DAEMON = {'libsystemd.so.0', 'libjson-c.so.5', 'libhttp_parser.so.2.9', 'libnettle.so.8', 'libz.so.1'}
ALLOWED = {
    'picketd': DAEMON | {'libcap.so.2'},
    'picket-server': DAEMON | {'libsqlite3.so.0'},
    'picket-probe': {'libjson-c.so.5', 'libhttp_parser.so.2.9', 'libnettle.so.8', 'libz.so.1', 'libcap.so.2', 'libsystemd.so.0'},
    'picket-sim': DAEMON,
    'picket': {'libsystemd.so.0', 'libjson-c.so.5', 'libnettle.so.8', 'libcurl-gnutls.so.4'},
}
# All that comes along with them, the loader left out: what is paid for at each start.
CLOSURE_MAX = {'picketd': 13, 'picket-server': 14, 'picket-probe': 13, 'picket-sim': 13}
# Never in a process that runs on every host: each costs more than all others together.
BANNED = re.compile(r'libcurl|libssl|libcrypto|libldap|libkrb5|libglib|libpython')
PICKETD_STRIPPED_MAX = 1_000_000
# what a build with sanitizers adds; its code is several times as large
SANITIZERS = re.compile(r'lib(asan|ubsan|tsan|lsan|gcc_s|stdc\+\+|dl|rt|pthread)\.|libclang_rt')
INSTRUMENTED = 8


def output(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def needed(program):
    names = re.findall(r'\(NEEDED\).*\[(.+)\]', output('readelf', '-d', os.path.join(BIN, program)))
    return {n for n in names if not SANITIZERS.search(n)}


def closure(program):
    """names of all libraries that the loader loads"""
    names = {line.split()[0] for line in output('ldd', os.path.join(BIN, program)).splitlines()}
    return {n for n in names if not re.match(r'linux-vdso|.*/ld-', n) and not SANITIZERS.search(n)}


def is_instrumented():
    text = output('readelf', '-d', os.path.join(BIN, 'picketd'))
    return re.search(r'lib(a|ub|t)san|libclang_rt', text) or '__asan_init' in output('nm', os.path.join(BIN, 'picketd'))


class Links(unittest.TestCase):
    def test_programs_name_only_what_is_on_their_list(self):
        for program, allowed in ALLOWED.items():
            with self.subTest(program):
                self.assertEqual(needed(program) - allowed - LIBC, set(),
                                 'a new library needs a row in docs/decisions/0001-dependencies.md first')

    def test_daemons_and_probes_load_few_libraries_in_all(self):
        for program, most in CLOSURE_MAX.items():
            with self.subTest(program):
                libs = closure(program)
                self.assertLessEqual(len(libs), most, sorted(libs))
                self.assertEqual([n for n in libs if BANNED.search(n)], [])

    def test_picketd_is_small(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, 'picketd')
        output('strip', '-o', path, os.path.join(BIN, 'picketd'))
        size = os.path.getsize(path)
        print(f'picketd stripped: {size} bytes, {len(closure("picketd"))} libraries')
        self.assertLess(size, PICKETD_STRIPPED_MAX * (INSTRUMENTED if is_instrumented() else 1))


class Rights(unittest.TestCase):
    def test_the_unit_leaves_probes_the_capabilities_that_they_ask_for(self):
        asked = set()
        for path in glob.glob('fingerprint/*.c') + glob.glob('drivers/*.c') + glob.glob('probe/*.c'):
            with open(path, encoding='utf-8') as f:
                asked |= set(re.findall(r'PROBE_CAP\((CAP_\w+)\)', f.read()))
        with open('packaging/picketd.service.in', encoding='utf-8') as f:
            left = set(re.search(r'^CapabilityBoundingSet=(.*)$', f.read(), re.M)[1].split())
        self.assertIn('CAP_DAC_READ_SEARCH', asked)
        self.assertEqual(asked - left, set())
