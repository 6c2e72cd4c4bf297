// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// Sample app: node's own http module and nothing else. It knows no more of its
// host than PORT. The paths are those of the other sample apps: see `routes`.
'use strict';

const crypto = require('crypto');
const http = require('http');
const { URL } = require('url');

const BYTES = Buffer.alloc(16 * 1024 * 1024);

function text(res, status, body) {
  res.writeHead(status, {
    'Content-Type': 'text/plain',
    'Content-Length': Buffer.byteLength(body),
  });
  res.end(body);
}

function json(res, value) {
  const body = JSON.stringify(value, null, 2) + '\n';
  res.writeHead(200, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
  });
  res.end(body);
}

function number(query, name, otherwise) {
  const value = parseInt(query.get(name), 10);
  return Number.isNaN(value) ? otherwise : value;
}

function echo(req, res) {
  res.writeHead(200, {
    'Content-Type': req.headers['content-type'] || 'application/octet-stream',
  });
  req.pipe(res);
}

function stream(req, res, query) {
  const count = number(query, 'n', 5);
  let sent = 0;
  res.writeHead(200, {
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-cache',
  });
  const next = () => {
    if (sent === count) {
      res.end();
      return;
    }
    sent += 1;
    res.write(`data: ${sent}\n\n`);
    timer = setTimeout(next, sent === count ? 0 : number(query, 'ms', 200));
  };
  let timer = setTimeout(next, 0);
  res.on('close', () => clearTimeout(timer));
}

function bytes(req, res, query) {
  const size = Math.min(Math.max(number(query, 'n', 1024), 0), BYTES.length);
  res.writeHead(200, {
    'Content-Type': 'application/octet-stream',
    'Content-Length': size,
  });
  res.end(BYTES.subarray(0, size));
}

const routes = {
  '/': (req, res) => text(res, 200, `Hello from node, process ${process.pid}\n`),
  '/headers': (req, res) => json(res, {
    method: req.method, path: req.url, headers: req.headers,
  }),
  '/echo': echo,
  '/slow': (req, res, query) => {
    const timer = setTimeout(() => text(res, 200, 'done\n'), number(query, 'ms', 1000));
    res.on('close', () => clearTimeout(timer));
  },
  '/stream': stream,
  '/bytes': bytes,
  '/status': (req, res, query) => text(res, number(query, 'code', 200), 'status\n'),
  '/env': (req, res) => json(res, process.env),
  '/pid': (req, res) => text(res, 200, `${process.pid}\n`),
  '/exit': (req, res, query) => {
    res.on('finish', () => process.exit(number(query, 'code', 0)));
    text(res, 200, 'leaving\n');
  },
  '/crash': () => {
    process.stderr.write('crashing on request\n');
    process.abort();
  },
};

// The path below the URL prefix at which the app is mounted.
function locate(req) {
  const url = new URL(req.url, 'http://localhost');
  const prefix = req.headers['x-forwarded-prefix'] || '';
  let path = url.pathname;
  if (prefix && (path === prefix || path.startsWith(prefix + '/'))) {
    path = path.slice(prefix.length) || '/';
  }
  return { path, query: url.searchParams };
}

// A WebSocket that sends back what it gets: RFC 6455 without extensions.

function frame(opcode, payload) {
  const head = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  if (payload.length < 126) {
    head[1] = payload.length;
  } else if (payload.length < 65536) {
    head[1] = 126;
    head.writeUInt16BE(payload.length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(payload.length), 2);
  }
  return Buffer.concat([head, payload]);
}

// The first frame of data, or null while it is incomplete.
function unframe(data) {
  if (data.length < 6) {
    return null;
  }
  let length = data[1] & 0x7f;
  let at = 2;
  if (length === 126) {
    length = data.length < 8 ? Infinity : data.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    length = data.length < 14 ? Infinity : Number(data.readBigUInt64BE(2));
    at = 10;
  }
  const end = at + 4 + length;
  if (data.length < end) {
    return null;
  }
  const mask = data.subarray(at, at + 4);
  const payload = Buffer.from(data.subarray(at + 4, end));
  for (let i = 0; i < payload.length; i += 1) {
    payload[i] ^= mask[i & 3];
  }
  return { fin: (data[0] & 0x80) !== 0, opcode: data[0] & 0x0f, payload, end };
}

function serveFrames(socket, rest) {
  const CLOSE = 8, PING = 9, PONG = 10;
  let opcode = 0;
  let parts = [];
  for (let got; (got = unframe(rest)); rest = rest.subarray(got.end)) {
    if (got.opcode === CLOSE) {
      socket.end(frame(CLOSE, got.payload.subarray(0, 2)));
      return Buffer.alloc(0);
    }
    if (got.opcode === PING) {
      socket.write(frame(PONG, got.payload));
    } else if (got.opcode !== PONG) {
      opcode = got.opcode || opcode;
      parts.push(got.payload);
      if (got.fin) {
        socket.write(frame(opcode, Buffer.concat(parts)));
        parts = [];
      }
    }
  }
  return rest;
}

function upgrade(req, socket, head) {
  const key = req.headers['sec-websocket-key'];
  if (locate(req).path !== '/ws' || !key) {
    socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
    return;
  }
  const accept = crypto.createHash('sha1')
    .update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n'
    + `Connection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  let rest = serveFrames(socket, head);
  socket.on('data', (data) => {
    rest = serveFrames(socket, Buffer.concat([rest, data]));
  });
  socket.on('error', () => socket.destroy());
}

const server = http.createServer((req, res) => {
  const { path, query } = locate(req);
  if (Object.hasOwn(routes, path)) {
    routes[path](req, res, query);
  } else {
    text(res, 404, 'no such path\n');
  }
});

server.on('upgrade', upgrade);
server.listen(process.env.PORT || 3000, '127.0.0.1', () => {
  console.log(`node ${process.version}: process ${process.pid} is listening`);
});
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
