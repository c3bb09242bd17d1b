import eslint from '@eslint/js';
import { defineConfig } from 'eslint/config';
import typescript from 'typescript-eslint';

export default defineConfig({
  files: ['src/**/*.ts', 'tests/**/*.ts'],
  extends: [eslint.configs.recommended, typescript.configs.strictTypeChecked],
  languageOptions: { parserOptions: { projectService: true } },
  rules: {
    // Numbers read well in templates; what the rule is for is objects.
    '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    // Lumino's signals are given a method and its object: connect(this.follow, this).
    '@typescript-eslint/unbound-method': 'off',
    // node:test collects what its `test` returns.
    '@typescript-eslint/no-floating-promises': [
      'error',
      {
        allowForKnownSafeCalls: [
          { from: 'package', name: 'default', package: 'node:test' },
          { from: 'package', name: 'test', package: 'node:test' }
        ]
      }
    ],
    '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }]
  }
});
