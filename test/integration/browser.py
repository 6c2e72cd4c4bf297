# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""What a browser makes of the pages of an app: links, and forms."""

import html
import re
import urllib.parse

LINK = re.compile(r"<(?:a|link|script|img)\b[^>]*?\b(?:href|src)=\"([^\"]*)\"")
BASE = re.compile(r'<base href="([^"]*)"')
HIDDEN = re.compile(r"<input\b[^>]*\btype=\"hidden\"[^>]*>")
ATTRIBUTE = re.compile(r'\b(name|value)="([^"]*)"')


class Browser:
    """One that knows an app by its mount, over http or https; env.ca for that."""

    def __init__(self, env, scheme, host, mount):
        self.env, self.scheme, self.host, self.mount = env, scheme, host, mount
        self.port = env.port2 if scheme == "https" else env.port
        self.url = f"{scheme}://{host}:{self.port}{mount}/"

    def get(self, path, **options):
        host = f"{self.host}:{self.port}"
        if self.scheme == "https":
            return self.env.ca.request(self.port, path, host=host, sni=self.host,
                                       **options)
        return self.env.get(path, host=host, timeout=90, **options)

    def page(self, path):
        answer = self.get(self.mount + path)
        assert answer.status == 200, answer
        return answer

    def links(self, path):
        """Absolute URLs of what a page refers to on this site."""
        text = self.page(path).text
        base = BASE.search(text)
        start = urllib.parse.urljoin(self.url + path.lstrip("/"),
                                     base.group(1) if base else "")
        found = {urllib.parse.urljoin(start, html.unescape(link))
                 for link in LINK.findall(text)}
        return {link.split("#")[0] for link in found
                if urllib.parse.urlsplit(link).hostname == self.host}

    def check_links(self, pages, missing=None):
        """They are below the mount, and there; those below `missing` need not be."""
        links = set().union(*(self.links("/" + page) for page in pages))
        assert {self.url + page for page in pages if page} <= links, links
        assert self.url in links or self.url[:-1] in links, links
        assert any(".css" in link for link in links), links
        for link in links:
            assert link.startswith(self.url) or link + "/" == self.url, link
            if missing and link.startswith(self.url + missing):
                continue
            answer = self.get(link[link.index("/", 8):])
            assert answer.status == 200 and answer.body, (link, answer)

    def send(self, path, shown, **fields):
        """The form of a page as it was shown, filled in; without its hidden fields where
        nothing was."""
        hidden = {} if shown is None else dict(
            [html.unescape(value) for _, value in sorted(ATTRIBUTE.findall(tag))]
            for tag in HIDDEN.findall(shown.text))
        cookies = "" if shown is None else "; ".join(
            value.split(";")[0] for name, value in shown.headers
            if name.lower() == "set-cookie")
        return self.get(self.mount + path, method="POST", headers={
            "Content-Type": "application/x-www-form-urlencoded", "Cookie": cookies},
            body=urllib.parse.urlencode({**hidden, **fields}))
