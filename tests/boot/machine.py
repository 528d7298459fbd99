"""A Debian that systemd-nspawn boots: made once by debootstrap, each boot on an overlay of its own."""
import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

BASE = ['systemd', 'systemd-sysv', 'dbus', 'iproute2', 'procps', 'udev']
ENV = ['env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL=C.UTF-8', 'TERM=dumb']
BOOT_SEC = 120


# opens the device here, mounts it there, and never reads a request
DEAD_MOUNT = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    if getattr(libc, name)(*args) < 0:
        sys.exit(f'{name}: {os.strerror(ctypes.get_errno())}')
fuse = os.open('/dev/fuse', os.O_RDWR)
call('setns', os.open(f'/proc/{sys.argv[1]}/ns/mnt', os.O_RDONLY), 0x20000)
call('mount', b'dead', sys.argv[2].encode(), b'fuse', 0, f'fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other'.encode())
print('mounted', flush=True)
sys.stdin.read()
"""


class CannotRun(Exception):
    """what is missing for any check to be made"""


def needs():
    if os.geteuid() != 0:
        raise CannotRun('it boots a container, which takes root')
    missing = [p for p in ('systemd-nspawn', 'debootstrap', 'nsenter', 'dpkg-deb') if not shutil.which(p)]
    if missing:
        raise CannotRun(f'not installed: {" ".join(missing)}')


def depends(deb):
    """names of the packages that a package depends on; of alternatives the first"""
    text = subprocess.run(['dpkg-deb', '-f', deb, 'Depends'], capture_output=True, text=True, check=True).stdout
    return {part.split('|')[0].split('(')[0].strip() for part in text.split(',') if part.strip()}


def make_root(cache, debs):
    """the root file system, with all that the packages depend on; made again when that changes"""
    needs()
    for deb in debs:
        if not os.path.exists(deb):
            raise CannotRun(f'{deb} is not there')
    wanted = sorted(set(BASE).union(*map(depends, debs)))
    root, stamp = os.path.join(cache, 'rootfs'), os.path.join(cache, 'rootfs.packages')
    if os.path.exists(stamp):
        with open(stamp, encoding='utf-8') as f:
            if f.read().split() == wanted:
                return root
        os.unlink(stamp)
    os.makedirs(cache, exist_ok=True)
    log = os.path.join(cache, 'debootstrap.log')
    shutil.rmtree(root, ignore_errors=True)
    print(f'making a Debian 12 in {root} with debootstrap, once (log: {log})', flush=True)
    with open(log, 'w', encoding='utf-8') as f:
        r = subprocess.run(['debootstrap', '--variant=minbase', '--include=' + ','.join(wanted), 'bookworm', root],
                           stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT, check=False)
    if r.returncode:
        with open(log, encoding='utf-8') as f:
            sys.stderr.write(''.join(f.readlines()[-10:]))
        raise CannotRun(f'debootstrap failed: is the network there? All of it is in {log}')
    with open(stamp, 'w', encoding='utf-8') as f:
        f.write('\n'.join(wanted))
    return root


def repack(deb, old, new, folder):
    """the same package with another version"""
    with tempfile.TemporaryDirectory() as tree:
        subprocess.run(['dpkg-deb', '-R', deb, tree], check=True)
        control = os.path.join(tree, 'DEBIAN', 'control')
        with open(control, encoding='utf-8') as f:
            text = f.read()
        with open(control, 'w', encoding='utf-8') as f:
            f.write(text.replace(f'\nVersion: {old}\n', f'\nVersion: {new}\n'))
        name = os.path.basename(deb).replace(f'_{old}_', f'_{new}_')
        subprocess.run(['dpkg-deb', '--root-owner-group', '-Znone', '-b', tree, os.path.join(folder, name)], check=True,
                       stdout=subprocess.DEVNULL)


class Machine:
    """a booted container; commands run in all of its namespaces"""

    def __init__(self, root, pkg, log):
        self.log = log
        self.leader = None
        with open(log, 'w', encoding='utf-8') as f:
            self.nspawn = subprocess.Popen(
                ['systemd-nspawn', '-q', '-D', root, '--boot', '--register=no', '--keep-unit', '--private-network',
                 '-M', f'picket-boot-{os.getpid()}', '--volatile=overlay', f'--bind-ro={os.path.abspath(pkg)}:/pkg'],
                stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT)
        try:
            self.wait_boot()
        except BaseException:
            self.stop()
            raise

    def wait_boot(self):
        end = time.monotonic() + BOOT_SEC
        while time.monotonic() < end:
            if self.nspawn.poll() is not None:
                with open(self.log, encoding='utf-8', errors='replace') as f:
                    raise CannotRun(f'systemd-nspawn ended with {self.nspawn.returncode}: {f.read().strip()[-500:]}')
            self.leader = self.leader or self.find_leader()
            if self.leader and self.run('systemctl', 'is-system-running')[1].strip() in ('running', 'degraded'):
                return
            time.sleep(0.1)
        raise CannotRun(f'the container did not boot within {BOOT_SEC} s; see {self.log}')

    def find_leader(self):
        pid = self.nspawn.pid
        try:
            with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as f:
                for child in f.read().split():
                    with open(f'/proc/{child}/comm', encoding='ascii') as g:
                        if g.read().strip() == 'systemd':
                            return child
        except OSError:
            pass
        return None

    def run(self, *argv, timeout=180):
        """(exit status, stdout, stderr)"""
        r = subprocess.run(['nsenter', '-t', self.leader, '-a', *ENV, *argv], stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, errors='replace', timeout=timeout, check=False)
        return r.returncode, r.stdout, r.stderr

    def out(self, *argv):
        return self.run(*argv)[1]

    def script(self, text):
        rc, out, err = self.run('sh', '-ec', text)
        if rc:
            raise RuntimeError(f'{out}{err}'.strip())

    def exists(self, path):
        return self.run('test', '-e', path)[0] == 0

    @contextlib.contextmanager
    def dead_mount(self, path):
        """a file system of FUSE whose server never answers: whoever looks at it hangs until it is gone"""
        p = subprocess.Popen([sys.executable, '-c', DEAD_MOUNT, self.leader, path], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if p.stdout.readline().strip() != 'mounted':
            raise RuntimeError(f'no dead mount: {p.communicate()[1].strip()}')
        try:
            yield
        finally:
            p.kill()        # with its descriptor the mount dies: what hangs on it gets an error
            p.communicate()
            self.run('umount', '-l', path)

    def get(self, port, target):
        """GET from inside the container's network, as JSON"""
        code = ('import http.client, sys\nc = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)\n'
                'c.request("GET", sys.argv[2])\nprint(c.getresponse().read().decode())')
        r = subprocess.run(['nsenter', '-t', self.leader, '-n', sys.executable, '-c', code, str(port), target],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        if r.returncode:
            raise http.client.HTTPException(r.stderr.strip().splitlines()[-1])
        return json.loads(r.stdout)

    def stop(self):
        if self.leader and self.nspawn.poll() is None:
            self.run('systemctl', 'poweroff')
        try:
            self.nspawn.wait(30)
        except subprocess.TimeoutExpired:
            self.nspawn.kill()
            self.nspawn.wait()
