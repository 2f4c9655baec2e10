'use strict';
// The client of the package for Node.js, against a small server; and its table of errors.
const assert = require('assert');
const fs = require('fs');
const http = require('http');
const test = require('node:test');

const root = process.env.KELPIE_SOURCE;
const { Client, Fail, KelpieError, errors } = require(`${root}/sdk/node`);
const { Age } = require(`${root}/sdk/node/lib/client.js`);

const CLOSE = (req, res) => req.socket.destroy();
const ok = (body, status = 200) => (req, res) => res.writeHead(status, { 'Content-Length': Buffer.byteLength(body) }).end(body);
const error = (name, status, retry, applied, more = {}) => (req, res) => {
  const body = JSON.stringify({ error: name, message: 'for a test', retry, applied, code: more.code });
  res.writeHead(status, { 'Kelpie-Error': name, 'Content-Length': body.length, ...more.headers }).end(body);
};

// A node that gives these, and then the last one for ever.
async function serve(t, ...answers) {
  const asked = [], left = [...answers];
  const server = http.createServer((req, res) => {
    const body = [];
    req.on('data', (d) => body.push(d)).on('end', () => {
      asked.push({ path: req.url, headers: req.headers, body: Buffer.concat(body).toString() });
      (left.length > 1 ? left.shift() : left[0])(req, res);
    });
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { path: `127.0.0.1:${server.address().port}`, asked };
}

test('calls, with an id of their own, over one connection', async (t) => {
  const { path, asked } = await serve(t, ok('5'));
  const client = new Client(path);
  assert.equal(await client.call('counter', 'café / 1', 'add', '5'), '5');
  assert.deepEqual(await client.callBytes('counter', 'a', 'add', Buffer.from([255]), { deadlineMs: 70 }), Buffer.from('5'));
  assert.equal(asked[0].path, '/v1/actors/counter/caf%C3%A9%20%2F%201/add');
  assert.equal(asked[1].headers['kelpie-deadline-ms'], '70');
  assert.notEqual(asked[0].headers['kelpie-request-id'], asked[1].headers['kelpie-request-id']);
  client.close();
});

test('retries under one id, with its age and the deadline that is left', async (t) => {
  const { path, asked } = await serve(t, error('unavailable', 503, true, 'no'), CLOSE,
    error('mailbox_full', 429, true, 'no', { headers: { 'Retry-After': '1' } }), ok('ok'));
  assert.equal(await new Client(path).call('t', 'i', 'm'), 'ok');
  assert.equal(new Set(asked.map((a) => a.headers['kelpie-request-id'])).size, 1);
  assert.ok(Number(asked[3].headers['kelpie-request-age-ms']) >= 1000);
  assert.ok(Number(asked[3].headers['kelpie-deadline-ms']) <= 4000);
});

test('errors have classes, and remember what attempts before may have done', async (t) => {
  const { path } = await serve(t, error('domain_error', 422, false, 'no', { code: 'sold_out' }),
    error('too_late', 409, false, 'unknown'), CLOSE, error('invalid', 400, false, 'no'), error('new_one', 503, false, 'no'));
  const client = new Client(path);
  await assert.rejects(client.call('t', 'i', 'm'), (e) => e instanceof Fail && e.code === 'sold_out' && e.sentence === 'for a test');
  await assert.rejects(client.call('t', 'i', 'm'), (e) => e instanceof errors.TooLate && e.applied === 'unknown');
  await assert.rejects(client.call('t', 'i', 'm'), (e) => e instanceof errors.Invalid && e.applied === 'unknown');
  await assert.rejects(client.call('t', 'i', 'm'), (e) => e instanceof KelpieError && e.error === 'new_one' && !e.retry);
});

test('the deadline ends it', async (t) => {
  const refuses = await serve(t, error('unavailable', 503, true, 'no'));
  await assert.rejects(new Client(refuses.path).call('t', 'i', 'm', '', { deadlineMs: 200 }), errors.Timeout);
  const lost = await serve(t, CLOSE);
  await assert.rejects(new Client(lost.path).call('t', 'i', 'm', '', { deadlineMs: 200 }), errors.UnknownResult);
  await assert.rejects(new Client('127.0.0.1:1').call('t', 'i', 'm', '', { deadlineMs: 100 }), errors.Timeout);
});

test('a node that is silent is left for another, its connection closed', async (t) => {
  let closed = false;
  const silent = await serve(t, (req) => req.socket.on('close', () => { closed = true; }));
  const good = await serve(t, ok('ok'));
  const client = new Client([silent.path, good.path]);
  client.at = 0;
  assert.equal(await client.call('t', 'i', 'm'), 'ok');
  await new Promise((done) => setTimeout(done, 50));
  assert.ok(closed);
  assert.equal(silent.asked[0].headers['kelpie-request-id'], good.asked[0].headers['kelpie-request-id']);
});

test('ids of the caller, ages, messages, pages', async (t) => {
  const { path, asked } = await serve(t, ok('ok'), ok('', 202), ok('{"actors":[{"id":"1"}],"next":"t/1 x"}'),
    ok('{"actors":[{"id":"2"}],"next":null}'));
  const client = new Client(path);
  await client.call('t', 'i', 'm', '', { requestId: 'r1', ageMs: 90000 });
  assert.ok(Number(asked[0].headers['kelpie-request-age-ms']) >= 90000);
  assert.throws(() => client.askOnce('/', '', { requestId: 'r1' }), RangeError);
  // What is no header's value, and no time, is the caller's mistake, and is asked of nobody.
  await assert.rejects(client.call('t', 'i', 'm', '', { requestId: 'r2\r\n\r\nPOST /x HTTP/1.1', ageMs: 0 }), /Kelpie-Request-Id has a line's end/);
  await assert.rejects(client.send('t', 'i', 'm', '', { afterMs: '0 HTTP/1.1\r\nx: y' }), RangeError);
  assert.equal(asked.length, 1);
  const age = new Age(0);
  age.wall -= 50000;
  assert.ok(age.ms() >= 50000);
  await client.send('t', 'i', 'm', 'b', { afterMs: 60 });
  assert.equal(asked[1].path, '/v1/actors/t/i/m?after_ms=60');
  const ids = [];
  for await (const actor of client.list({ type: 't' })) ids.push(actor.id);
  assert.deepEqual(ids, ['1', '2']);
  assert.equal(asked[3].path, '/v1/actors?type=t&limit=100&after=t%2F1+x');
  for (const bad of ['host', 'host:99999', `/${'x'.repeat(107)}`]) assert.throws(() => new Client(bad), RangeError);
});

test('events go on where they were', async (t) => {
  const { path } = await serve(t, (req, res) => {
    const n = Number((req.headers['last-event-id'] || 'b-0').slice(2)) + 1;
    req.socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n: silence\n\nid: b-${n}\nevent: x\ndata: {"n":${n}}\n\n`);
  });
  const got = [];
  for await (const event of new Client(path).events()) {
    got.push(event);
    if (got.length === 3) break;
  }
  assert.deepEqual(got, [1, 2, 3].map((n) => ({ n, id: `b-${n}` })));
});

test('the table of errors is that of the page', () => {
  const rows = [...fs.readFileSync(`${root}/docs/http-api.md`, 'utf8').matchAll(/^\| `(\w+)` \| (\d+) \| (yes|no) \| (\w+) \|/gm)];
  assert.deepEqual(Object.fromEntries(rows.map(([, name, status, retry, applied]) => [name, [Number(status), retry === 'yes', applied]])),
    errors.TABLE);
});
