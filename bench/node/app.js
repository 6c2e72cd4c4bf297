// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// The node app behind the servers that are measured. It listens on its argument,
// a port or the path of a socket, or on PORT.
'use strict';

const http = require('http');

const body = Buffer.alloc(12, 'x');

http.createServer((req, res) => {
  res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': body.length });
  res.end(body);
}).listen(process.argv[2] || process.env.PORT || 3000);
