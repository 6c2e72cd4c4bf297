# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""What folders of apps have in them in several files of tests."""

import os
import shutil

import env as environment

PYTHON = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")
LISTEN = os.path.join(environment.HERE, "apps", "kinds", "listen.py")
WEB_CONFIG = """\
<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <location path="." inheritInChildApplications="false">
    <system.webServer>
      <handlers>
        <add name="aspNetCore" path="*" verb="*" modules="AspNetCoreModuleV2"
             resourceType="Unspecified" />
      </handlers>
      {inner}
    </system.webServer>
  </location>
</configuration>
"""
NOTHING = {"readme.txt": "nothing that says how to run it\n"}
