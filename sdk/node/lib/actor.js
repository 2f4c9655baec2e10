'use strict';
// What a class of actors is made of, and how one turn of it runs.
const errors = require('./errors');

// Thrown out of a call in a turn that nobody waits for any more. Not to be caught: the turn is over.
class Abandoned extends Error {}

// ---- bytes on the wire: text as it is, all else in base64 under the name with 64 behind it

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(data) {
  try {
    const text = decoder.decode(data);
    return text.includes('\0') ? null : text;
  } catch (e) {
    return null;
  }
}

const base64 = (data) => data.toString('base64');

function takeBytes(message, name) {
  const coded = message[`${name}64`];
  return coded !== undefined ? Buffer.from(coded, 'base64') : Buffer.from(message[name] || '');
}

function putBytes(message, name, data) {
  const text = textOf(data);
  if (text === null) message[`${name}64`] = base64(data);
  else message[name] = text;
}

function bytesOf(value, what) {
  if (typeof value === 'string') return Buffer.from(value);
  if (value instanceof Uint8Array) return Buffer.from(value);
  throw new TypeError(`${what} is of type ${typeof value}; text or bytes are allowed`);
}

// ---- state

// The actor's state, and what changed since it was last told. Keys are kept as latin1 of their bytes.
class Values {
  constructor(message) {
    this.now = new Map();
    this.changed = new Map();
    this.readOnly = message.read === true;
    for (const [key, value] of Object.entries(message.state || {})) {
      this.now.set(Buffer.from(key).toString('latin1'), Buffer.from(value));
    }
    for (const [key, value] of Object.entries(message.state64 || {})) {
      this.now.set(Buffer.from(key, 'base64').toString('latin1'), Buffer.from(value, 'base64'));
    }
  }

  set(key, value) {
    if (this.readOnly) throw new errors.Refused('a method that is declared as a read cannot write');
    const old = this.now.get(key);
    if (value === null ? old === undefined : old !== undefined && old.equals(value)) return;
    if (value === null) this.now.delete(key);
    else this.now.set(key, value);
    this.changed.set(key, value);
  }

  tell(out) {
    for (const [key, value] of this.changed) {
      const bytes = Buffer.from(key, 'latin1');
      const name = textOf(bytes), text = value === null ? '' : textOf(value);
      const coded = name === null || text === null;
      if (value === null) (out[coded ? 'deletes64' : 'deletes'] ||= []).push(coded ? base64(bytes) : name);
      else if (coded) (out.puts64 ||= {})[base64(bytes)] = base64(value);
      else Object.defineProperty(out.puts ||= {}, name, { value: text, enumerable: true, configurable: true });
    }
    this.changed.clear();
  }
}

// An actor's state, like a Map in the order of its keys. What is changed in it is written with the turn's end, or not at all. Keys and
// values are text; `bytes` is the same state, shown as Buffers.
class State {
  constructor(values, asText = true) {
    this.values_ = values;
    this.asText = asText;
  }

  get bytes() {
    return new State(this.values_, false);
  }

  get size() {
    return this.values_.now.size;
  }

  show(data) {
    return this.asText ? decoder.decode(data) : data;
  }

  get(key) {
    const value = this.values_.now.get(bytesOf(key, 'a key').toString('latin1'));
    return value === undefined ? undefined : this.show(value);
  }

  has(key) {
    return this.values_.now.has(bytesOf(key, 'a key').toString('latin1'));
  }

  set(key, value) {
    this.values_.set(bytesOf(key, 'a key').toString('latin1'), bytesOf(value, `the value of '${key}'`));
    return this;
  }

  delete(key) {
    const had = this.has(key);
    this.values_.set(bytesOf(key, 'a key').toString('latin1'), null);
    return had;
  }

  * entries() {
    for (const key of [...this.values_.now.keys()].sort()) {
      yield [this.show(Buffer.from(key, 'latin1')), this.show(this.values_.now.get(key))];
    }
  }

  * keys() {
    for (const [key] of this.entries()) yield key;
  }

  [Symbol.iterator]() {
    return this.entries();
  }
}

// ---- classes

// What is known of the message that is handled.
class Turn {
  constructor(m) {
    this.method = m.method;
    this.body = takeBytes(m, 'body');
    this.requestId = m.request_id;
    this.attempt = m.attempt || 1;
    this.deadlineMs = m.deadline_ms || 0;
    this.read = m.read === true;
    this.sender = m.sender || null;
    this.dueMs = m.due_ms || 0;
    this.missed = m.missed || 0;
    this.chain = m.chain || [];
    this.run = m.run || 0;
    this.nowMs = m.now_ms || 0;
  }
}

function answerOf(said) {
  if (said.error === undefined) return takeBytes(said, 'reply');
  return errors.make(said.error, takeBytes(said, 'sentence').toString(), takeBytes(said, 'code').toString(), undefined, said.applied);
}

// The base of classes. One object for each turn: what is to stay is in `state`. Static members: `methods` and `reads`, the names
// of what others may call; `raw`, which of these are given bytes; `type` (the class's name in small letters), `version`,
// `idleMs`, `rememberMs`, `turnMs`, `placement`, `expireAfterMs`.
class Actor {
  static methods = [];

  static reads = [];

  static raw = [];

  constructor(message, exchange) {
    this.exchange_ = exchange;
    this.values_ = new Values(message);
    this.said_ = {};
    this.random_ = BigInt(message.random || 0);
    this.id = message.id;
    this.state = new State(this.values_);
    this.turn = new Turn(message);
  }

  // The node's wall clock, in milliseconds since 1970, when the turn began.
  get nowMs() {
    return this.turn.nowMs;
  }

  // A number from 0 to 1; others at each call, all of them from the one that the node has drawn (splitmix64).
  random() {
    const mask = (1n << 64n) - 1n;
    this.random_ = (this.random_ + 0x9E3779B97F4A7C15n) & mask;
    let z = this.random_;
    z = ((z ^ (z >> 30n)) * 0xBF58476D1CE4E5B9n) & mask;
    z = ((z ^ (z >> 27n)) * 0x94D049BB133111EBn) & mask;
    return Number((z ^ (z >> 31n)) >> 11n) / 2 ** 53;
  }

  // A message to any actor, itself too: it leaves with the turn's commit, and is applied exactly once. Options: afterMs;
  // everyMs, again and again until unsend(name); name: it takes the place of the last one of its name.
  send(type, id, method, body = '', { afterMs, everyMs, name } = {}) {
    this.mayWrite_('send');
    const message = { type, id, method };
    putBytes(message, 'body', bytesOf(body, 'a body'));
    if (afterMs) message.after_ms = afterMs;
    if (everyMs) message.every_ms = everyMs;
    if (name) message.name = name;
    (this.said_.sends ||= []).push(message);
  }

  // Withdraws this actor's message of that name, if it has not been applied.
  unsend(name) {
    this.mayWrite_('unsend');
    (this.said_.unsends ||= []).push(name);
  }

  // The actor is gone with the turn's commit, and the next message finds it as new.
  erase() {
    this.mayWrite_('erase');
    this.values_.now.clear();
    this.values_.changed.clear();
    this.values_.readOnly = true;
    this.said_.erase = true;
  }

  // Calls another actor; the reply as text. Throws what it was answered instead; not caught, that is the answer to this turn
  // too. What it did stays done: the two are not one transaction.
  async call(type, id, method, body = '', options = {}) {
    return (await this.callBytes(type, id, method, body, options)).toString();
  }

  async callBytes(type, id, method, body = '', { deadlineMs } = {}) {
    const [answer] = await this.callAll([[type, id, method, body, deadlineMs]]);
    if (answer instanceof Error) throw answer;
    return answer;
  }

  // Several at once, at most 16: [type, id, method, body, deadlineMs]. Resolves to an array in their order, of replies as Buffers
  // and of the errors of those that failed. One at a time in a turn.
  async callAll(calls) {
    if (this.calls_) throw new Error('the turn waits for calls already: give them to one callAll');
    const asked = calls.map(([type, id, method, body = '', deadlineMs = 0]) => {
      const call = { type, id, method };
      putBytes(call, 'body', bytesOf(body, 'a body'));
      if (deadlineMs) call.deadline_ms = deadlineMs;
      return call;
    });
    if (!asked.length) return [];
    this.calls_ = true;
    try {
      return (await this.exchange_(this.tell_({ calls: asked }))).answers.map(answerOf);
    } finally {
      this.calls_ = false;
    }
  }

  mayWrite_(what) {
    if (this.turn.read) throw new errors.Refused(`a method that is declared as a read cannot ${what}`);
  }

  tell_(out) {
    Object.assign(out, this.said_);
    this.said_ = {};
    this.values_.tell(out);
    return out;
  }
}

// ---- one turn

const typeOf = (cls) => (Object.hasOwn(cls, 'type') ? cls.type : cls.name.toLowerCase());

function hello(classes) {
  const types = classes.map((c) => {
    for (const name of [...c.methods, ...c.reads]) {
      if (typeof c.prototype[name] !== 'function' || name in Actor.prototype) {
        throw new TypeError(`${c.name} says the method '${name}', and has none of that name of its own`);
      }
    }
    const told = { type: typeOf(c), version: c.version, idle_ms: c.idleMs, remember_ms: c.rememberMs, turn_ms: c.turnMs,
      placement: c.placement, expire_after_ms: c.expireAfterMs };
    const known = Object.fromEntries(Object.entries(told).filter(([, v]) => v));
    return c.reads.length ? { ...known, reads: [...c.reads].sort() } : known;
  });
  return { worker: 1, types };
}

function failed(error) {
  const cut = (text) => (Buffer.byteLength(text) > 1024 ? Buffer.from(text).subarray(0, 1021).toString().replace(/\ufffd+$/, '') : text);
  if (error instanceof errors.Fail) return { fail: { code: error.code, sentence: cut(error.sentence) } };
  if (error instanceof errors.KelpieError) return { error: error.error, sentence: cut(error.sentence || error.message) };
  const where = /\n\s+at .*?([^/\s]+:\d+):\d+\)?/.exec((error && error.stack) || '');
  return { error: 'handler_failed', sentence: cut(`${error}${where ? ` (${where[1]})` : ''}`) };
}

async function callMethod(cls, message, exchange) {
  const { method } = message;
  if (!cls.methods.includes(method) && !cls.reads.includes(method)) {
    throw new errors.UnknownMethod(`actors of type ${typeOf(cls)} have no method '${method}'`);
  }
  const actor = new cls(message, exchange);
  let { body } = actor.turn;
  if (!cls.raw.includes(method)) {
    body = decodeBody(body);
  }
  const reply = await actor[method](body);
  const out = actor.tell_({});
  if (reply !== undefined && reply !== null) putBytes(out, 'reply', bytesOf(reply, `the reply of ${method}`));
  return out;
}

function decodeBody(body) {
  try {
    return decoder.decode(body);
  } catch (e) {
    throw new errors.Invalid('the body is not UTF-8, and this method takes text');
  }
}

// The answer that ends the turn. `classes`: by type. Rejects with Abandoned when nobody waits for it.
async function runTurn(classes, message, exchange, log) {
  let answer;
  try {
    answer = await callMethod(classes.get(message.type), message, exchange);
  } catch (e) {
    if (e instanceof Abandoned) throw e;
    if (!(e instanceof errors.KelpieError)) log(`${message.type}/${message.id} ${message.method} failed: ${(e && e.stack) || e}`);
    answer = failed(e);
  }
  return { ...answer, ticket: message.ticket };
}

module.exports = { Abandoned, Actor, State, hello, runTurn, typeOf };
