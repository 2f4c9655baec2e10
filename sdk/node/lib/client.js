'use strict';
// A client: asks nodes until the deadline, under one request id, so that what it asks for is done once.
const crypto = require('crypto');
const net = require('net');
const { performance } = require('perf_hooks');
const errors = require('./errors');
const { Connection, Lost, address, field, parseHead, socketPath } = require('./connection');

const DEADLINE_MS = 5000;
const DEADLINE_MS_MAX = 600000;
const ATTEMPT_MS_MIN = 1000; // with several nodes: one that is silent for so long is left for another
const PAUSE_MS_MIN = 20;
const PAUSE_MS_MAX = 2000;
const IDLE_MS_MAX = 60000; // a connection that was not used for longer may be closed at the other end
const IDLE_MAX = 8; // connections kept for each node
const PAGE = 100;
const EVENTS_SILENCE_MS = 45000; // the node says something every 15 s

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// How old the first attempt is at most: a machine that slept knows it by one clock, one whose clock was set by the other.
class Age {
  constructor(olderMs) {
    this.olderMs = olderMs;
    this.wall = Date.now();
    this.monotonic = performance.now();
  }

  passedMs() {
    return Math.max(Date.now() - this.wall, performance.now() - this.monotonic, 0);
  }

  ms() {
    return this.olderMs + Math.ceil(this.passedMs());
  }
}

function errorOf(answer) {
  const name = answer.headers['kelpie-error'];
  if (name === undefined) {
    return answer.status < 300 ? null : errors.make('protocol', `the node answered with the status ${answer.status} and no error`);
  }
  let said = {};
  try {
    said = JSON.parse(answer.body.toString());
  } catch (e) { /* the name says enough */ }
  return errors.make(name, said.message, said.code, said.retry, said.applied);
}

function outOfTime(applied, last) {
  const sentence = `the deadline passed${last ? `; the last attempt: ${last.message}` : ''}`;
  return errors.make(applied === 'no' ? 'timeout' : 'unknown_result', sentence);
}

const pathOf = (prefix, ...names) => prefix + names.map((n) => `/${encodeURIComponent(n)}`).join('');
const bytesOf = (body) => (Buffer.isBuffer(body) ? body : Buffer.from(body));

class Client {
  // nodes: 'HOST:PORT' or the path of a node's Unix socket, or several of them (an array, or with commas); by default
  // $KELPIE_NODE, or else the socket in the data directory.
  constructor(nodes, { deadlineMs = DEADLINE_MS } = {}) {
    const given = nodes || process.env.KELPIE_NODE || socketPath();
    this.nodes = (typeof given === 'string' ? given.split(',') : given).map(address);
    this.deadlineMs = deadlineMs;
    this.idle = new Map(this.nodes.map((n) => [n, []]));
    this.at = Math.floor(Math.random() * this.nodes.length);
  }

  // Closes the connections that nobody uses now.
  close() {
    for (const idle of this.idle.values()) idle.splice(0).forEach((c) => c.close(false));
  }

  // Calls a method; the reply as text. Options: deadlineMs; requestId with ageMs, when the id is the caller's own: how long
  // ago at most it was first used, in milliseconds (0: never yet).
  async call(type, id, method, body = '', options = {}) {
    return (await this.callBytes(type, id, method, body, options)).toString();
  }

  // As call(), with the reply as a Buffer.
  async callBytes(type, id, method, body = '', options = {}) {
    return (await this.askOnce(pathOf('/v1/actors', type, id, method), body, options)).body;
  }

  // Sends a message, that comes after so many milliseconds and is applied exactly once. Resolves when it is durable.
  async send(type, id, method, body = '', { afterMs = 0, ...options } = {}) {
    if (!Number.isSafeInteger(afterMs) || afterMs < 0) throw new RangeError(`afterMs is ${afterMs}; a whole number of milliseconds is allowed`);
    await this.askOnce(`${pathOf('/v1/actors', type, id, method)}?after_ms=${afterMs}`, body, options);
  }

  askOnce(path, body, { deadlineMs = this.deadlineMs, requestId, ageMs } = {}) {
    if ((requestId === undefined) !== (ageMs === undefined)) {
      throw new RangeError('requestId and ageMs go together: ageMs is 0 for an id that is new');
    }
    if (!(deadlineMs >= 1 && deadlineMs <= DEADLINE_MS_MAX)) {
      throw new RangeError(`deadlineMs is ${deadlineMs}; 1 to ${DEADLINE_MS_MAX} are allowed`);
    }
    const headers = [['Kelpie-Request-Id', requestId || crypto.randomUUID()]];
    headers.forEach(([name, value]) => field(name, value)); // refused before anything is asked
    return this.untilDeadline('POST', path, headers, bytesOf(body), deadlineMs, new Age(ageMs || 0));
  }

  // Attempts with pauses of full jitter. What an attempt may have done stays in mind: only a reply says more.
  async untilDeadline(method, path, headers, body, deadlineMs, age) {
    let applied = 'no', last = null, pauseMs = PAUSE_MS_MIN;
    let attemptMs = this.nodes.length === 1 ? deadlineMs : Math.max(ATTEMPT_MS_MIN, deadlineMs / 4);
    for (;;) {
      const leftMs = deadlineMs - age.passedMs();
      if (leftMs < 1) throw outOfTime(applied, last);
      const times = [['Kelpie-Request-Age-Ms', age.ms()], ['Kelpie-Deadline-Ms', Math.ceil(leftMs)]];
      const node = this.nodes[this.at];
      let waitMs = 0;
      try {
        const answer = await this.attempt(node, method, path, [...headers, ...times], body, Math.min(leftMs, attemptMs));
        last = errorOf(answer);
        if (last === null) return answer;
        waitMs = 1000 * Number(answer.headers['retry-after'] || 0);
      } catch (e) {
        if (!(e instanceof Lost)) throw e;
        last = errors.make('unreachable', e.message, '', true, e.sent ? 'unknown' : 'no');
        attemptMs *= 2;
      }
      if (last.applied === 'unknown') applied = 'unknown';
      if (!last.retry) {
        if (last.applied === 'no') last.applied = applied;
        throw last;
      }
      if (this.nodes[this.at] === node) this.at = (this.at + 1) % this.nodes.length;
      await sleep(Math.max(0, Math.min(deadlineMs - age.passedMs(), Math.max(waitMs, Math.random() * pauseMs))));
      pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX);
    }
  }

  // One that is given up closes its connection.
  async attempt(node, method, path, headers, body, timeoutMs) {
    const idle = this.idle.get(node);
    let connection = null;
    while (!connection && idle.length) {
      const kept = idle.pop();
      if (kept.isOpen && performance.now() - kept.idleSince < IDLE_MS_MAX) connection = kept;
      else kept.close(false);
    }
    connection = connection || new Connection(node);
    if (connection.socket) connection.socket.ref();
    const answer = await connection.ask(method, path, headers, body, timeoutMs + 100);
    connection.idleSince = performance.now();
    if (connection.isOpen && idle.length < IDLE_MAX) {
      connection.socket.unref(); // it keeps no program from its end
      idle.push(connection);
    } else {
      connection.close(false);
    }
    return answer;
  }

  async get(path) {
    const answer = await this.untilDeadline('GET', path, [], Buffer.alloc(0), this.deadlineMs, new Age(0));
    return JSON.parse(answer.body.toString());
  }

  async* pages(path, what, given) {
    const query = { ...given, limit: PAGE };
    for (;;) {
      const known = Object.entries(query).filter(([, v]) => v !== undefined && v !== '');
      const page = await this.get(`${path}?${new URLSearchParams(known)}`);
      yield* page[what];
      if (page.next === null || page.next === undefined) return;
      query.after = page.next;
    }
  }

  // All actors, in order, as in docs/http-api.md.
  list({ type, node } = {}) {
    return this.pages('/v1/actors', 'actors', { type, node });
  }

  // Messages that wait for an actor, or the dead letters of all.
  messages(type, id) {
    return this.pages(type ? pathOf('/v1/messages', type, id) : '/v1/messages', 'messages', {});
  }

  listNodes() {
    return this.pages('/v1/nodes', 'nodes', {});
  }

  // Of the node that answers.
  status() {
    return this.get('/v1/status');
  }

  // Where an actor is.
  where(type, id) {
    return this.get(pathOf('/v1/actors', type, id));
  }

  // The events of one node, as they happen, without end, with the `id` that `after` takes. When the connection ends, it goes on
  // behind the last one at the same node, as soon as that is there.
  async* events(after) {
    const node = this.nodes[this.at];
    let last = after, pauseMs = PAUSE_MS_MIN;
    for (;;) {
      try {
        for await (const event of stream(node, last)) {
          pauseMs = PAUSE_MS_MIN;
          last = event.id;
          yield event;
        }
      } catch (e) {
        if (e instanceof errors.KelpieError && !e.retry) throw e;
      }
      await sleep(Math.random() * pauseMs);
      pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX);
    }
  }
}

async function* stream(node, after) {
  const from = after ? field('Last-Event-ID', after) : '';
  const socket = net.connect(node.path ? { path: node.path } : { host: node.host, port: node.port });
  let head = null, text = '', event = {};
  try {
    socket.setEncoding('utf8');
    socket.setTimeout(EVENTS_SILENCE_MS, () => socket.destroy());
    socket.write(`GET /v1/events HTTP/1.1\r\nHost: ${node.path ? 'localhost' : node.text}\r\n${from}\r\n`);
    for await (const data of socket) {
      text += data;
      if (!head && text.includes('\r\n\r\n')) {
        head = parseHead(text.slice(0, text.indexOf('\r\n\r\n')));
        text = text.slice(text.indexOf('\r\n\r\n') + 4);
        if (head.status !== 200) throw errorOf({ ...head, body: Buffer.from(text) });
      }
      for (let end; head && (end = text.indexOf('\n')) >= 0; text = text.slice(end + 1)) {
        const line = text.slice(0, end).replace(/\r$/, '');
        if (line.startsWith('id:')) event.id = line.slice(3).trim();
        else if (line.startsWith('data:')) event.data = (event.data || '') + line.slice(5).trim();
        else if (line === '' && event.data) {
          const said = { ...JSON.parse(event.data), id: event.id };
          event = {};
          yield said;
        }
      }
    }
  } finally {
    socket.destroy();
  }
}

module.exports = { Client, Age, errorOf };
