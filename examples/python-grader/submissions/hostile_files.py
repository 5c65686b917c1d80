# Looks for anything that it was not given.
import os

found = []
for path in ["/etc/passwd", "/in/../../etc/passwd", "../../../etc/passwd", "/proc/self/environ", "/root", "/home", "/sys"]:
    for try_it in (open, os.listdir, os.stat):
        try:
            try_it(path)
            found.append(path)
        except OSError:
            pass
try:
    os.symlink("/etc", "/tmp/etc")
    found.append(os.listdir("/tmp/etc"))
except OSError:
    pass
seen = sorted(os.path.join(folder, name) for folder, _, names in os.walk("/") for name in names)
seen = [path for path in seen if not path.startswith("/usr/local/lib/")]
assert not found and seen == ["/in/submission.py"], (found, seen)
assert os.environ.get("HOME") is None and os.environ.get("PATH") is None, os.environ
print(sum(int(word) ** 2 for word in open(0).read().split()))
