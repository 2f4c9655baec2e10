'use strict';
// A worker that uses all that the package for Node.js has; of the tests.
const { Actor, Fail, errors, run } = require(`${process.env.KELPIE_SOURCE}/sdk/node`);

const sleep = (s) => new Promise((done) => setTimeout(done, s * 1000));

class Thing extends Actor {
  static version = 2;

  static rememberMs = 9000;

  static methods = ['echo', 'raw_echo', 'nothing', 'put', 'put_raw', 'erase_it', 'not_text', 'sends', 'whose', 'fails', 'not_found',
    'raises', 'bad_reply', 'calls', 'draws', 'waits', 'prints'];

  static reads = ['get', 'raw_get', 'writing_read'];

  static raw = ['raw_echo', 'raw_get'];

  echo(body) { return body; }

  raw_echo(body) { return body; }

  nothing() {}

  put(body) { this.state.set('b', body).delete('a'); }

  put_raw() {
    const state = this.state.bytes;
    state.set(Buffer.from([0]), state.get(Buffer.from([255])));
    state.delete(Buffer.from([255]));
  }

  get() { return [...this.state].map(([k, v]) => `${k}=${v}`).join(' '); }

  raw_get(body) { return this.state.bytes.get(body); }

  writing_read() { this.state.set('a', '1'); }

  erase_it() {
    this.erase();
    return String(this.state.size);
  }

  not_text() { return this.state.get('a'); }

  sends() {
    this.send('thing', 'y', 'echo', '1');
    this.send('thing', 'y', 'echo', Buffer.from([255]), { afterMs: 10, everyMs: 200, name: 'n' });
    this.unsend('m');
  }

  whose() {
    const t = this.turn;
    return `('${t.sender.type}', '${t.sender.id}') ${t.dueMs} ${t.missed} ${t.attempt}`;
  }

  fails() {
    this.state.set('a', '1');
    throw new Fail('sold_out', 'no seat');
  }

  not_found() { throw new errors.NotFound('nothing here'); }

  helper() { return 'not for others'; }

  raises() { return null.x; }

  bad_reply() { return 5; }

  async calls() {
    this.state.set('before', '1');
    this.state.set('after', await this.call('a', '1', 'm', 'b'));
    const [raw, late] = await this.callAll([['a', '2', 'm'], ['a', '3', 'm', '', 70]]);
    return `${raw.toString('hex')} ${late.error} ${late.applied}`;
  }

  draws() { return `${this.random()} ${this.random()} ${this.nowMs}`; }

  async waits(seconds) {
    const begun = Thing.running = (Thing.running || 0) + 1;
    await sleep(Number(seconds));
    Thing.running -= 1;
    return String(begun);
  }

  prints() {
    console.log('not for the protocol');
    return 'printed';
  }
}

class Another extends Actor {
  static type = 'Other';

  static turnMs = 500;

  static methods = ['hangs'];

  hangs() { return sleep(100); }
}

run(Thing, Another, { slots: 3 }).catch((e) => {
  process.stderr.write(`${e.message}\n`);
  process.exitCode = 1;
}).finally(() => process.stdin.destroy());
