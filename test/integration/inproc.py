# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Apps in process for tests: compiled into their folder, which belongs to root."""

import os
import subprocess

from env import TOP

SOURCES = os.path.join(TOP, "test", "apps", "inproc")


def build(env, name, source="life", *flags, target=None):
    """A folder with SOURCE as a shared object."""
    folder = env.path("apps", name)
    if not os.path.isdir(folder):
        env.app(name, user="root" if env.is_root else None)
    compile_into(os.path.join(folder, target or f"{source}.so"), source, *flags)
    return folder


def compile_into(path, source, *flags):
    """Replaced at once, as a deployment should: nobody sees a half of it."""
    subprocess.run([os.environ.get("CC", "cc"), "-O1", "-g", "-shared", "-fPIC",
                    "-pthread", f"-I{TOP}/include", *flags, "-o", path + ".new",
                    os.path.join(SOURCES, source + ".c")], check=True)
    os.rename(path + ".new", path)


def app(name, folder, *lines, mount=None):
    """Configuration of such an app."""
    body = "\n".join(["AppCoreHostingModel InProcess", f"AppCorePath {folder}", *lines])
    return (f"<AppCoreApp {name}>\n{body}\n</AppCoreApp>\n"
            f"AppCoreMount {mount or '/' + name} {name}\n")
