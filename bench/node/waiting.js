// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// An app whose answers take time: /wait?ms=, an event stream, an echo after an
// upgrade, and /fast. It listens on its argument or on PORT.
'use strict';

const crypto = require('crypto');
const http = require('http');

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

const server = http.createServer((req, res) => {
  const url = new URL(req.url, 'http://localhost');
  if (url.pathname.endsWith('/wait')) {
    setTimeout(() => res.end('waited\n'), Number(url.searchParams.get('ms')));
  } else if (url.pathname.endsWith('/events')) {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    res.write('data: begin\n\n');
    const timer = setInterval(() => res.write('data: tick\n\n'), 5000);
    req.on('close', () => clearInterval(timer));
  } else {
    res.end('fast\n');
  }
});

server.on('upgrade', (req, socket) => {
  const key = req.headers['sec-websocket-key'] + GUID;
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n' +
               'Upgrade: websocket\r\nSec-WebSocket-Accept: ' +
               crypto.createHash('sha1').update(key).digest('base64') + '\r\n\r\n');
  socket.on('data', (data) => socket.write(data));
  socket.on('error', () => socket.destroy());
});

const where = process.argv[2] ? { path: process.argv[2] } : { port: process.env.PORT };
server.listen({ ...where, backlog: 4096 });
