// SPDX-License-Identifier: Apache-2.0
// Part of mod_appcore; see LICENSE.
//
// Loaded into an unmodified node program by NODE_OPTIONS=--require: the first
// HTTP server of the process that mod_appcore started listens to the inherited
// socket (descriptor 3) instead of the port it asks for, and cannot tell the
// difference. In a cluster that process is the primary, which opens the
// descriptor for its workers. Everywhere else nothing is touched.
'use strict';

const INHERITED = 3;
const BACKLOG = 1024;
const PRIMARY = 'APPCORE_NODE_PRIMARY';
const WITH_REQUEST = new Set(['request', 'checkContinue', 'checkExpectation', 'upgrade',
    'connect', 'dropRequest']);

const { env } = process;
const isAddressed = env.LISTEN_FDS === '1' && env.LISTEN_PID === String(process.pid);
const isWorker = env[PRIMARY] === String(process.ppid);

if (isAddressed || isWorker) {
    takeListen(takeFromEnvironment());
}

// What programs started by the app must not find; returns our part of NODE_OPTIONS.
function takeFromEnvironment() {
    const match = /^--require="[^"]*\/node-preload\.js" ?/.exec(env.NODE_OPTIONS || '');
    const rest = match ? env.NODE_OPTIONS.slice(match[0].length) : env.NODE_OPTIONS;

    for (const name of ['LISTEN_FDS', 'LISTEN_PID', PRIMARY, 'NODE_OPTIONS']) {
        delete env[name];
    }
    if (rest) {
        env.NODE_OPTIONS = rest;
    }
    return match ? match[0].trimEnd() : '';
}

function takeListen(ours) {
    const cluster = require('cluster');
    const http = require('http');
    const net = require('net');
    const listen = net.Server.prototype.listen;
    const keep = keeper(listen);
    let taken = false;
    let shared = false;

    net.Server.prototype.listen = function (...args) {
        const isHttp = this instanceof http.Server;

        if (shared && !isHttp && args[0] && args[0].fd === INHERITED) {
            taken = true;
            return keep(this, args);
        }
        if (taken || !isHttp || isDescriptor(args[0])) {
            return listen.apply(this, args);
        }
        taken = true;
        disguise(this, askedFor(args));
        return listen.call(this, inherited(args), BACKLOG, ...callback(args));
    };
    if (cluster.isPrimary) {
        const { fork } = cluster;

        // Once the primary serves by itself, its workers are for something else.
        cluster.fork = function (more) {
            shared = shared || !taken;
            return fork.call(this, shared ? forWorker(ours, more) : more);
        };
    }
    require('module').syncBuiltinESMExports();
}

function forWorker(ours, more) {
    const options = more && more.NODE_OPTIONS || env.NODE_OPTIONS || '';

    return { ...more, [PRIMARY]: process.pid, NODE_OPTIONS: `${ours} ${options}` };
}

// The server that node's cluster opens in the primary. When the last worker goes,
// cluster closes it, and with it the only descriptor; the next worker would have
// none. So it stays open, and what connects meanwhile waits for that worker.
function keeper(listen) {
    let kept = null;
    let waiting = [];

    function retain(handle) {
        kept = handle;
        kept.close = () => {
            kept.unref();
            kept.onconnection = (...connection) => waiting.push(connection);
        };
    }
    function reuse(server) {
        kept.ref();
        server._handle = kept;
        process.nextTick(() => {
            server.emit('listening');
            waiting.splice(0).forEach((connection) => kept.onconnection(...connection));
        });
        return server;
    }
    return (server, args) => {
        if (kept) {
            return reuse(server);
        }
        server.once('listening', () => retain(server._handle));
        return listen.apply(server, args);
    };
}

// A program that was written for inherited sockets knows what it does.
function isDescriptor(where) {
    return where !== null && typeof where === 'object'
        && (typeof where.fd === 'number' || '_handle' in where || 'handle' in where);
}

function inherited([where]) {
    const signal = where && where.signal;

    return signal ? { fd: INHERITED, signal } : { fd: INHERITED };
}

function callback(args) {
    return typeof args.at(-1) === 'function' ? [args.at(-1)] : [];
}

// The forms of net.Server.listen(): (options), (path), (port, host).
function askedFor([where, host]) {
    if (where !== null && typeof where === 'object') {
        return where;
    }
    if (typeof where === 'string' && !/^\d+$/.test(where)) {
        return { path: where };
    }
    return { port: typeof where === 'function' ? 0 : where, host };
}

function addressOf({ port, host, path }) {
    const { isIP } = require('net');
    const name = typeof host === 'string' && host || '::';
    const address = isIP(name) ? name : '127.0.0.1';

    return path || {
        address,
        family: isIP(address) === 6 ? 'IPv6' : 'IPv4',
        port: Number(port) || Number(env.PORT) || 0,
    };
}

// The server shows the address that was asked for, and its connections those of
// the clients: httpd alone can connect, and it says who they are.
function disguise(server, asked) {
    const { address, emit } = server;

    put(server, 'address', function () {
        return this.listening ? addressOf(asked) : address.call(this);
    });
    put(server, 'emit', function (...args) {
        if (WITH_REQUEST.has(args[0])) {
            showClient(args[1]);
        }
        return emit.apply(this, args);
    });
}

function showClient({ headers, socket }) {
    const client = last(headers['x-forwarded-for']);
    const version = require('net').isIP(client);

    if (version) {
        put(socket, 'remoteAddress', client);
        put(socket, 'remoteFamily', `IPv${version}`);
        put(socket, 'encrypted', last(headers['x-forwarded-proto']) === 'https');
    }
}

function last(list = '') {
    return list.slice(list.lastIndexOf(',') + 1).trim();
}

function put(object, name, value) {
    Object.defineProperty(object, name, { value, configurable: true, writable: true });
}
