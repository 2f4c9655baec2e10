'use strict';
// Runs classes of actors: for a node over its Unix socket, or over pipes under kelpie-sim.
const crypto = require('crypto');
const fs = require('fs');
const readline = require('readline');
const { performance } = require('perf_hooks');
const { Abandoned, hello, runTurn, typeOf } = require('./actor');
const { errorOf } = require('./client');
const { Connection, Lost, address, socketPath } = require('./connection');

const SLOTS = 16;
const SLOTS_MAX = 256;
const POLL_MS = 60000; // a node says something after 20 s
const ANSWERS_MS = 30000; // beyond the deadline of the turn that calls
const PAUSE_MS_MIN = 50;
const PAUSE_MS_MAX = 5000;
const STOP_MS = 10000; // for the turns under way
const TURN_MS = 30000; // that one may take, where its class says nothing else
const WATCH_MS = 500;
const EXIT_HANGS = 70; // the status with which a process ends in which a turn hangs

const log = (text) => process.stderr.write(`${new Date().toISOString()} ${text}\n`);

// Runs until SIGTERM or SIGINT (or, over pipes, until the input ends); then the promise resolves. Rejects when the node will
// not have it.
//
// Options: socket, of the node; by default $KELPIE_SOCKET, or kelpied.sock in the data directory ($KELPIE_DATA_DIR). slots: turns that
// are under way at a time. pipes: true where kelpie-sim runs it; it says so in $KELPIE_WORKER.
async function run(...given) {
  const options = typeof given[given.length - 1] === 'function' ? {} : given.pop();
  const classes = new Map(given.map((c) => [typeOf(c), c]));
  if (!classes.size || classes.size < given.length) throw new Error('a worker needs classes, each of a type of its own');
  const pipes = options.pipes === undefined ? process.env.KELPIE_WORKER === 'pipes' : options.pipes;
  if (pipes) await overPipes(classes);
  else await new Worker(classes, address(options.socket || socketPath()), options.slots || SLOTS).run();
}

class Worker {
  constructor(classes, to, slots) {
    if (!(slots >= 1 && slots <= SLOTS_MAX)) throw new RangeError(`slots is ${slots}; 1 to ${SLOTS_MAX} are allowed`);
    this.classes = classes;
    this.address = to;
    this.hello = Buffer.from(JSON.stringify(hello([...classes.values()])));
    this.name = crypto.randomUUID();
    this.stopping = new Promise((stop) => { this.stop = stop; });
    this.stopped = false;
    this.slots = Array.from({ length: slots }, () => new Slot(this));
  }

  async run() {
    const onSignal = () => this.end(null);
    process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
    const all = Promise.all(this.slots.map((s) => s.run()));
    const watch = setInterval(() => this.slots.forEach((s) => s.watch()), WATCH_MS);
    await this.stopping;
    clearInterval(watch);
    await Promise.race([all, new Promise((done) => setTimeout(done, STOP_MS).unref())]);
    process.off('SIGTERM', onSignal).off('SIGINT', onSignal);
    if (this.failed) throw this.failed;
  }

  end(failed) {
    this.failed = this.failed || failed;
    this.stopped = true;
    this.slots.forEach((s) => s.stop());
    this.stop();
  }

  // Once, until there is something else to tell.
  tell(what) {
    if (what !== this.told) log(what);
    this.told = what;
  }
}

// A connection, and the turns that come over it, one at a time.
class Slot {
  constructor(worker) {
    this.worker = worker;
    this.connection = new Connection(worker.address);
    this.polls = false;
    this.runs = null; // the turn, since when
  }

  // What takes longer than it may, may do so for ever: the process ends, and whoever started it starts it again.
  watch() {
    const { runs, worker } = this;
    if (!runs || performance.now() - runs.since < (worker.classes.get(runs.turn.type).turnMs || TURN_MS)) return;
    const { type, id, method, request_id: request } = runs.turn;
    log(`${type}/${id} ${method} (${request}) takes longer than it may: the process ends`);
    process.exit(EXIT_HANGS);
  }

  stop() {
    if (this.polls) this.connection.close(false);
    if (this.polls) this.interrupted();
    if (this.wake) this.wake();
  }

  async run() {
    const { worker } = this;
    let pauseMs = PAUSE_MS_MIN;
    while (!worker.stopped) {
      try {
        let message = await this.ask(worker.hello, POLL_MS);
        worker.tell(`hosts ${[...worker.classes.keys()].sort().join(', ')} at ${worker.address.text}`);
        pauseMs = PAUSE_MS_MIN;
        while (message.method !== undefined || !worker.stopped) message = await this.next(message);
      } catch (e) {
        if (!(e instanceof Lost)) worker.end(e);
        if (worker.stopped) break;
        worker.tell(`waits for the node: ${e.message}`);
        await this.pause(Math.random() * pauseMs);
        pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX);
      }
    }
    this.connection.close(false);
  }

  pause(ms) {
    return new Promise((done) => {
      const timer = setTimeout(done, ms);
      this.wake = () => {
        clearTimeout(timer);
        done();
      };
    });
  }

  async next(message) {
    if (message.method === undefined) return this.ask(Buffer.from('{}'), POLL_MS);
    const late = []; // what came instead of the answers
    let answer;
    this.runs = { turn: message, since: performance.now() };
    try {
      answer = await runTurn(this.worker.classes, message, (said) => this.exchange(message, said, late), log);
    } catch (e) {
      if (!(e instanceof Abandoned)) throw e;
      if (!late.length) throw new Lost('the connection ended in the midst of a turn', true);
      return late[0];
    } finally {
      this.runs = null;
    }
    if (this.worker.stopped) answer.last = true;
    return this.ask(Buffer.from(JSON.stringify(answer)), POLL_MS);
  }

  async exchange(turn, said, late) {
    let message;
    this.runs = null;
    try {
      message = await this.ask(Buffer.from(JSON.stringify({ ...said, ticket: turn.ticket })), (turn.deadline_ms || 0) + ANSWERS_MS, false);
    } catch (e) {
      throw new Abandoned();
    }
    if (message.ticket !== turn.ticket) {
      late.push(message);
      throw new Abandoned();
    }
    this.runs = { turn, since: performance.now() };
    return message;
  }

  // What the node says next. `polls`: nothing is lost when the process ends meanwhile. A refusal of what a turn came to is told,
  // and all goes on.
  async ask(body, timeoutMs, polls = true) {
    const isHello = body === this.worker.hello;
    if (!isHello && !this.connection.isOpen) throw new Lost('the node closed the connection', true);
    this.polls = polls;
    let answer;
    try {
      answer = await Promise.race([
        this.connection.ask('POST', '/v1/worker/next', [['Kelpie-Worker', this.worker.name]], body, timeoutMs),
        new Promise((_, reject) => { this.interrupted = () => reject(new Lost('it ends', false)); }),
      ]);
    } finally {
      this.polls = false;
    }
    const error = errorOf(answer);
    if (error === null) return JSON.parse(answer.body.toString());
    if (isHello && error.retry) throw new Lost(error.message, false);
    if (isHello) throw error;
    log(`the node refuses: ${error.message}`);
    return {};
  }
}

// A line in, a line out. A turn that waits for its calls has a promise, that is kept until it is told the answers.
async function overPipes(classes) {
  const open = new Map(); // type NUL id: the turn that waits
  // What a class prints is no line of ours.
  process.stdout.write = (...args) => process.stderr.write(...args);
  const say = (message) => fs.writeSync(1, `${JSON.stringify(message)}\n`);
  say(hello([...classes.values()]));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const message = JSON.parse(line);
    let said;
    if (message.answers) {
      const turn = [...open.values()].find((t) => t.message.ticket === message.ticket);
      said = await turn.step(message);
      if (!said.calls) open.delete(turn.key);
    } else {
      const turn = new PipeTurn(classes, message);
      open.delete(turn.key); // whoever gets the next turn of an actor forgets the last
      said = await turn.step(null);
      if (said.calls) open.set(turn.key, turn);
    }
    say(said);
  }
}

class PipeTurn {
  constructor(classes, message) {
    this.classes = classes;
    this.message = message;
    this.key = `${message.type}\0${message.id}`;
  }

  // What it says next.
  step(told) {
    return new Promise((said, fail) => {
      this.said = said;
      if (told) this.told(told);
      else runTurn(this.classes, this.message, (calls) => this.exchange(calls), log).then((end) => this.said(end), fail);
    });
  }

  exchange(calls) {
    return new Promise((told) => {
      this.told = told;
      this.said({ ...calls, ticket: this.message.ticket });
    });
  }
}

module.exports = { run };
