// A process that uses the embedded database of the folder in its first argument: says how to connect, and leaves the
// server when its standard input ends.
import { once } from 'node:events';
import { startEmbeddedPostgres } from '../../src/database/embedded.ts';
import { silentLogger } from './silent-logger.ts';

const directory = process.argv[2];
if (directory === undefined)
  throw new Error('The first argument names the folder of the database.');
const server = await startEmbeddedPostgres({ directory, logger: silentLogger });
process.stdout.write(`${JSON.stringify(server.connection)}\n`);
process.stdin.resume();
await once(process.stdin, 'end');
await server.stop();
