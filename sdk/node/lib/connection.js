'use strict';
// One HTTP/1.1 connection to a node, over TCP or its Unix socket, with what the API needs and no more.
const net = require('net');
const os = require('os');

const HEAD_MAX = 32 * 1024;
const BODY_MAX = 16 * 1024 * 1024;
const SOCKET_PATH_MAX = 107; // what the system allows

// The connection ended, or could not be made. `sent`: the request may have come to the node.
class Lost extends Error {
  constructor(why, sent) {
    super(why);
    this.sent = sent;
  }
}

// As kelpied finds it.
function dataDir() {
  const env = process.env;
  if (env.KELPIE_DATA_DIR) return env.KELPIE_DATA_DIR;
  if (process.geteuid() === 0) return '/var/lib/kelpie';
  if ((env.XDG_STATE_HOME || '').startsWith('/')) return `${env.XDG_STATE_HOME}/kelpie`;
  return `${env.HOME || os.homedir()}/.local/state/kelpie`;
}

const socketPath = () => process.env.KELPIE_SOCKET || `${dataDir()}/kelpied.sock`;

// 'HOST:PORT', '[IPv6]:PORT', or the path of a Unix socket (it has a slash), perhaps behind 'unix:'.
function address(text) {
  const bare = text.trim().replace(/^http:\/\//, '');
  if (bare.startsWith('unix:') || bare.includes('/')) {
    const path = bare.replace(/^unix:/, '');
    if (Buffer.byteLength(path) > SOCKET_PATH_MAX) {
      throw new RangeError(`the socket's path has ${Buffer.byteLength(path)} bytes, and the system allows ${SOCKET_PATH_MAX}: ${path}`);
    }
    return { text: bare, path };
  }
  const found = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/.exec(bare);
  if (!found || Number(found[2]) > 65535) {
    throw new RangeError(`'${text}' is no node's address: HOST:PORT, or the path of a Unix socket`);
  }
  return { text: bare, host: found[1].replace(/[[\]]/g, ''), port: Number(found[2]) };
}

function parseHead(text) {
  const [first, ...lines] = text.split('\r\n');
  const found = /^HTTP\/1\.\d (\d{3})/.exec(first);
  if (!found) throw new Error('what answers there is no HTTP server');
  const headers = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { status: Number(found[1]), headers };
}

// A line of a head.
function field(name, value) {
  if (/[\r\n]/.test(value)) throw new RangeError(`${name} has a line's end in it: ${JSON.stringify(String(value))}`);
  return `${name}: ${value}\r\n`;
}

class Connection {
  constructor(to) {
    this.address = to;
    this.idleSince = 0;
    this.socket = null;
  }

  get isOpen() {
    return this.socket !== null;
  }

  // Resolves to {status, headers, body}; rejects with Lost when there is no answer within the time, and the connection is closed.
  ask(method, path, headers, body, timeoutMs) {
    const fields = headers.map(([name, value]) => field(name, value)).join('');
    return new Promise((resolve, reject) => {
      const fail = (why) => {
        this.close(true);
        reject(new Lost(`${this.address.text}: ${why}`, this.sent));
      };
      const timer = setTimeout(() => fail('no answer in time'), timeoutMs);
      this.pending = { timer, got: [], length: 0, fail, done: (answer) => {
        clearTimeout(timer);
        this.pending = null;
        if ((answer.headers.connection || '').toLowerCase() === 'close') this.close(false);
        resolve(answer);
      } };
      this.sent = this.isOpen;
      if (!this.isOpen) this.open();
      const head = `${method} ${path} HTTP/1.1\r\nHost: ${this.address.path ? 'localhost' : this.address.text}\r\nContent-Length: ${body.length}\r\n${fields}`;
      this.socket.write(Buffer.concat([Buffer.from(`${head}\r\n`), body]));
    });
  }

  open() {
    const socket = net.connect(this.address.path ? { path: this.address.path } : { host: this.address.host, port: this.address.port });
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('connect', () => { this.sent = true; });
    socket.on('data', (data) => this.take(socket, data));
    socket.on('error', (e) => this.ended(socket, e.message));
    socket.on('close', () => this.ended(socket, 'the node closed the connection'));
  }

  ended(socket, why) {
    if (socket !== this.socket) return;
    this.socket = null;
    if (this.pending) this.pending.fail(why);
  }

  take(socket, data) {
    const p = this.pending;
    if (socket !== this.socket || !p) return;
    p.got.push(data);
    p.length += data.length;
    try {
      if (!p.head) this.takeHead(p);
      if (p.head && p.length >= p.bodyLength) {
        const all = Buffer.concat(p.got);
        p.done({ ...p.head, body: all.subarray(0, p.bodyLength) });
      }
    } catch (e) {
      p.fail(e.message);
    }
  }

  takeHead(p) {
    const all = Buffer.concat(p.got);
    const end = all.indexOf('\r\n\r\n');
    if (end < 0 && all.length > HEAD_MAX) throw new Error("the answer's head is too long");
    if (end < 0) return;
    p.head = parseHead(all.toString('latin1', 0, end));
    p.bodyLength = Number(p.head.headers['content-length'] || 0);
    if (!(p.bodyLength <= BODY_MAX)) throw new Error('an answer of a length that is none');
    p.got = [all.subarray(end + 4)];
    p.length = p.got[0].length;
  }

  // abort: with a reset, so that what nobody has read yet is not read any more.
  close(abort) {
    const { socket } = this;
    this.socket = null;
    if (this.pending) clearTimeout(this.pending.timer);
    this.pending = null;
    if (!socket) return;
    if (abort && !this.address.path && socket.resetAndDestroy) socket.resetAndDestroy();
    else socket.destroy();
  }
}

module.exports = { Connection, Lost, address, field, parseHead, socketPath };
