/** Bundles the tests, each into a file that Node.js can run, and runs them all. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const here = import.meta.dirname;
const files = readdirSync(here).filter(name => /\.test\.(ts|mjs)$/.test(name));
const out = mkdtempSync(join(here, '..', 'node_modules', '.raynb-tests-'));
try {
  await build({
    entryPoints: files.map(name => join(here, name)),
    bundle: true,
    format: 'cjs',
    platform: 'node',
    outdir: out,
    outExtension: { '.js': '.cjs' },
    packages: 'bundle',
    sourcemap: 'inline',
    logLevel: 'warning'
  });
  const bundles = readdirSync(out).map(name => join(out, name));
  const args = ['--enable-source-maps', '--test', ...bundles];
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;
} finally {
  rmSync(out, { recursive: true });
}
