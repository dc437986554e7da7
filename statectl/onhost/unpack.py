"""The executor's zip -> compiled modules, and into the cache with them. Runs once per host, interpreter and version.

Run by the bootstrap stub before anything of this package can be imported: only the standard library here.
The cache file is `<hash of the zip>-<interpreter>-<magic>.bin`: the zip's hash, the hash of all that follows and of the
first line, then the marshalled modules. Its directory belongs to whoever runs the executor and nobody else may write it.
Without a usable directory the executor runs from memory and is sent again the next time.
"""

import hashlib
import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import zipfile

KEPT = 3  # executors of other versions that stay: controllers of several versions may share a host


def unpack(archive: "zipfile.ZipFile", cache: str, file: str, bundle: str) -> bytes:
    """ZipFile -> marshalled {module: (is package, file name, marshalled code)}; stored in the directory `cache` under the name `file`."""
    modules = {}
    for name in archive.namelist():
        if not name.startswith("statectl/") or not name.endswith(".py"):
            continue
        package = name.endswith("/__init__.py")
        module = name[: -len("/__init__.py" if package else ".py")].replace("/", ".")
        code = compile(archive.read(name), name, "exec", dont_inherit=True, optimize=0)
        modules[module] = (package, name, marshal.dumps(code))  # packed once more: a run loads a third of them
    payload = marshal.dumps(modules)
    if cache:
        try:
            store(payload, cache, file, bundle)
        except OSError:
            return payload  # no room, read-only, not ours: the cache is a saving, not a need
    return payload


def store(payload: bytes, cache: str, file: str, bundle: str) -> None:
    directory = open_directory(cache)
    try:
        info = os.fstat(directory)
        if info.st_uid != os.geteuid():
            return
        if info.st_mode & 0o077:
            os.fchmod(directory, 0o700)
        head = bundle.encode("ascii") + b"\n"
        data = head + hashlib.sha256(head + payload).hexdigest().encode("ascii") + b"\n" + payload
        temporary = ".%s-%d.tmp" % (file, os.getpid())
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            fd = os.open(temporary, flags, 0o600, dir_fd=directory)
        except FileExistsError:  # left by one that was killed and had our process id
            os.unlink(temporary, dir_fd=directory)
            fd = os.open(temporary, flags, 0o600, dir_fd=directory)
        try:
            with open(fd, "wb") as stream:
                stream.write(data)
            os.rename(temporary, file, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError:
            os.unlink(temporary, dir_fd=directory)
            raise
        tidy(directory, bundle)
    finally:
        os.close(directory)


def open_directory(path: str) -> int:
    """Descriptor of the cache directory, made 0700 together with a missing parent. A link in its place is refused."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        os.umask(0o077)  # missing parents are ours alone as well, whatever we were started with
        os.makedirs(path, 0o700, exist_ok=True)
        return os.open(path, flags)


def tidy(directory: int, bundle: str) -> None:
    """Drop executors of other versions beyond the newest few, and temporary files older than an hour."""
    others = []
    for name in os.listdir(directory):
        info = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if name.endswith(".tmp"):
            if info.st_mtime < os.fstat(directory).st_mtime - 3600:
                os.unlink(name, dir_fd=directory)
        elif name.endswith(".bin") and not name.startswith(bundle):
            others.append((info.st_mtime, name))
    for _, name in sorted(others)[:-KEPT]:
        os.unlink(name, dir_fd=directory)
