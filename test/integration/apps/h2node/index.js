// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.

// node's HTTP/2 server, without TLS. Some paths misbehave, once each.
'use strict';
const http2 = require('http2');
const { constants } = http2;
const seen = {};
let gone = false;

const server = http2.createServer();
server.on('stream', (stream, headers) => {
  const path = headers[':path'].replace(/^\/\w+/, '');
  const count = seen[path] = (seen[path] || 0) + 1;
  let size = 0;

  stream.on('error', () => {});
  stream.on('data', (piece) => { size += piece.length; });
  if (path.startsWith('/refuse') && count === 1) {
    stream.close(constants.NGHTTP2_REFUSED_STREAM);
  } else if (path.startsWith('/always-refuse')) {
    stream.close(constants.NGHTTP2_REFUSED_STREAM);
  } else if (path.startsWith('/reset')) {
    stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  } else if (path.startsWith('/goaway') && !gone && stream.id > 1) {
    // Nothing beyond the stream before this one was looked at.
    gone = true;
    stream.session.goaway(constants.NGHTTP2_NO_ERROR, stream.id - 2);
  } else if (path === '/early') {
    stream.respond({ ':status': 403 }, { endStream: true });
  } else if (path === '/hints') {
    stream.additionalHeaders({ ':status': 103, link: '</a.css>' });
    stream.respond({ ':status': 200 });
    stream.end('hinted');
  } else if (path === '/count') {
    stream.respond({ ':status': 200 });
    stream.end(JSON.stringify({ pid: process.pid, seen }));
  } else {
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'x-session': String(stream.id) },
                     { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-tail': 'end' }));
      stream.end(`${headers[':method']} ${size} ${count}`);
    });
  }
});
server.listen(process.env.PORT, '127.0.0.1');
