import eslint from '@eslint/js';
import { defineConfig } from 'eslint/config';
import typescript from 'typescript-eslint';

export default defineConfig({
  files: ['src/**/*.ts'],
  extends: [eslint.configs.recommended, typescript.configs.strictTypeChecked],
  languageOptions: { parserOptions: { projectService: true } }
});
