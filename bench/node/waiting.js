// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// An app whose answers take time: /wait?ms=, an event stream, an echo after an
// upgrade, and /fast. It listens on its first argument or on PORT; on the port that is
// its second it tells anybody how many wait.
'use strict';

const crypto = require('crypto');
const http = require('http');

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

let waiting = 0;

function count(socket) {
  waiting++;
  socket.once('close', () => waiting--);
}

const server = http.createServer((req, res) => {
  const url = new URL(req.url, 'http://localhost');
  if (url.pathname.endsWith('/wait')) {
    count(res);
    setTimeout(() => res.end('waited\n'), Number(url.searchParams.get('ms')));
  } else if (url.pathname.endsWith('/events')) {
    count(res);
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
  count(socket);
  socket.on('data', (data) => socket.write(data));
  socket.on('end', () => socket.end());
  socket.on('error', () => socket.destroy());
});

const given = process.argv[2] || process.env.PORT;
const where = isNaN(given) ? { path: given } : { port: given, host: '127.0.0.1' };
server.listen({ ...where, backlog: 4096 });
if (process.argv[3]) {
  http.createServer((req, res) => res.end(String(waiting)))
    .listen(Number(process.argv[3]), '127.0.0.1');
}
