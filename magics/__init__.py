"""Cell and line magics: `%%remote`, `%remote` and `%raynb`."""
