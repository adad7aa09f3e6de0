import { execFile } from 'node:child_process';
import { cp, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

/** One instruction of a Dockerfile, with continuation lines joined. */
export interface Step {
  instruction: string;
  text: string;
}

/** The steps between two FROM lines. */
export interface Stage {
  name: string;
  base: string;
  steps: Step[];
}

/** Where an image's files lie while its steps run, and what its processes see. */
export interface Container {
  root: string;
  workingDirectory: string;
  environment: Record<string, string>;
}

const known = new Set(
  'FROM WORKDIR COPY RUN ENV USER EXPOSE STOPSIGNAL HEALTHCHECK CMD'.split(' '),
);

/** The instructions of a Dockerfile, without comments and with continuation lines joined. */
function readSteps(dockerfile: string): Step[] {
  const lines = dockerfile
    .split('\n')
    .filter((line) => !line.startsWith('#') && line.trim() !== '');
  const joined = lines
    .join('\n')
    .replaceAll(/\\\n\s*/gu, '')
    .split('\n');
  return joined.map((line) => {
    const instruction = line.split(' ', 1)[0] ?? '';
    if (!known.has(instruction)) throw new Error(`This test does not know how to run: ${line}`);
    return { instruction, text: line.slice(instruction.length + 1) };
  });
}

/** Reads the subset of Dockerfile that ours keeps to; an instruction outside of it is an error. */
export function parseDockerfile(dockerfile: string): Stage[] {
  const stages: Stage[] = [];
  for (const step of readSteps(dockerfile)) {
    const [base = '', , name = 'final'] = step.text.split(' ');
    if (step.instruction === 'FROM') stages.push({ name, base, steps: [] });
    else stages.at(-1)?.steps.push(step);
  }
  return stages;
}

/** The text of the last `instruction` of a stage; an error when there is none. */
export function lastStep(stage: Stage, instruction: string): string {
  const step = stage.steps.findLast((each) => each.instruction === instruction);
  if (step === undefined) throw new Error(`${stage.name} has no ${instruction}`);
  return step.text;
}

/** The exec form's words, of CMD or of HEALTHCHECK's CMD. */
export function execForm(text: string): string[] {
  return JSON.parse(text.slice(text.indexOf('['))) as string[];
}

/** What `.dockerignore` lets through: plain names, `*` alone, and `!`; the last match counts. */
export function dockerContext(ignore: string): (file: string) => boolean {
  const patterns = ignore.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return (file) => {
    const matches = (pattern: string) => {
      const name = pattern.replace(/^!/u, '');
      return name === '*' || file === name || file.startsWith(`${name}/`);
    };
    return patterns.findLast(matches)?.startsWith('!') ?? true;
  };
}

type Containers = ReadonlyMap<string, Container>;

/** COPY, of files and folders, from the build context or an earlier stage. */
async function copy(text: string, target: Container, sources: Containers): Promise<void> {
  const words = text.split(' ');
  const stage = words[0]?.startsWith('--from=')
    ? words.shift()?.slice('--from='.length)
    : 'context';
  const from = sources.get(stage ?? '');
  const to = words.pop();
  if (from === undefined || to === undefined) throw new Error(`COPY ${text} has no source`);
  for (const word of words) {
    // A folder's content is copied, a file keeps its name.
    const name = word.endsWith('/') ? '' : path.basename(word);
    const destination = path.join(target.root, target.workingDirectory, to, name);
    await mkdir(path.dirname(destination), { recursive: true });
    await cp(path.join(from.root, word), destination, { recursive: true, verbatimSymlinks: true });
  }
}

/** Runs the steps that make files, in order; RUN as a script with the container's environment. */
export async function runStage(
  stage: Stage,
  container: Container,
  sources: Containers,
): Promise<void> {
  for (const { instruction, text } of stage.steps) {
    const cwd = path.join(container.root, container.workingDirectory);
    if (instruction === 'WORKDIR') {
      container.workingDirectory = text;
      await mkdir(path.join(container.root, text), { recursive: true });
    } else if (instruction === 'ENV') {
      const [name = '', value = ''] = text.split('=');
      container.environment[name] = value;
    } else if (instruction === 'COPY') {
      await copy(text, container, sources);
    } else if (instruction === 'RUN') {
      const options = { cwd, env: container.environment, maxBuffer: 1024 * 1024 };
      await promisify(execFile)('/bin/sh', ['-euc', text], options);
    }
  }
}
