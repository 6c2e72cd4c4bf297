// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// A node app that was never told of mod_appcore: it listens to a port of its own
// and says what it sees.
'use strict';

const { spawnSync } = require('child_process');
const http = require('http');

// What a program started by the app has: its environment and whether it can
// listen where it likes.
const CHILD = `
const server = require('http').createServer();
server.listen(0, '127.0.0.1', () => {
    console.log(JSON.stringify({ env: process.env, address: server.address(),
        path: server._handle.constructor.name }));
    server.close();
});`;

function answer(server, req) {
    const { socket } = req;

    if (req.url.endsWith('/child')) {
        const child = spawnSync(process.execPath, ['-e', CHILD], { encoding: 'utf8' });
        return JSON.parse(child.stdout);
    }
    return {
        pid: process.pid,
        title: process.title,
        env: process.env,
        address: server.address(),
        handle: server._handle && server._handle.constructor.name,
        remoteAddress: socket.remoteAddress,
        remoteFamily: socket.remoteFamily,
        encrypted: Boolean(socket.encrypted),
    };
}

exports.serve = (port, done) => {
    const server = http.createServer((req, res) => {
        if (req.url.endsWith('/exit')) {
            res.on('finish', () => process.exit(9));
        }
        if (req.url.endsWith('/close')) {
            res.setHeader('Connection', 'close');
        }
        res.end(JSON.stringify(answer(server, req)));
    });

    server.on('upgrade', (req, socket) => {
        socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n'
            + `Connection: Upgrade\r\n\r\n${socket.remoteAddress}`);
    });
    server.listen(port, done);
    return server;
};
