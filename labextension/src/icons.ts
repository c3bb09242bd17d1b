/** raynb's icons, in the colours of the theme. */
import { LabIcon } from '@jupyterlab/ui-components';

function icon(name: string, body: string): LabIcon {
  const svgstr =
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">' +
    `<g class="jp-icon3" fill="#616161">${body}</g></svg>`;
  return new LabIcon({ name: `raynb:${name}`, svgstr });
}

export const clustersIcon = icon(
  'clusters',
  '<circle cx="12" cy="5" r="3"/><circle cx="5" cy="18" r="3"/><circle cx="19" cy="18" r="3"/>' +
    '<path d="M10.6 7.4L6.4 15.2l1.5.8 4.2-7.8zM13.4 7.4l4.2 7.8-1.5.8-4.2-7.8zM8 17.1h8v1.8H8z"/>'
);
export const graphIcon = icon(
  'graph',
  '<rect x="2" y="9" width="7" height="6" rx="1.5"/><rect x="15" y="3" width="7" height="6" rx="1.5"/>' +
    '<rect x="15" y="15" width="7" height="6" rx="1.5"/>' +
    '<path d="M9 11c4 0 2-5 6-5v1.6c-3 0-1.5 5-6 5zM9 13c4 0 2 5 6 5v-1.600c-3 0-1.5-5-6-5z"/>'
);
export const timelineIcon = icon(
  'timeline',
  '<rect x="3" y="4" width="9" height="4" rx="1"/><rect x="14" y="4" width="4" height="4" rx="1"/>' +
    '<rect x="6" y="10" width="12" height="4" rx="1"/><rect x="3" y="16" width="5" height="4" rx="1"/>' +
    '<rect x="10" y="16" width="11" height="4" rx="1"/>'
);
export const objectsIcon = icon(
  'objects',
  '<path d="M12 2l9 5v10l-9 5-9-5V7zm0 2.300L6.5 7.3 12 10.400l5.5-3.100zM5 9v6.900l6 3.300v-6.900zm14 0l-6 3.300v6.900l6-3.300z"/>'
);
export const actorsIcon = icon(
  'actors',
  '<circle cx="12" cy="7.5" r="4"/><path d="M4 21c0-5 3.5-7.5 8-7.500s8 2.5 8 7.500z"/>'
);
export const nodesIcon = icon(
  'nodes',
  '<path d="M4 3h16a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zm1 2v4h14V5zm-1 8h16a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-6a1 1 0 0 1 1-1zm1 2v4h14v-4z"/>' +
    '<circle cx="8" cy="7" r="1.2"/><circle cx="8" cy="17" r="1.2"/>'
);
export const logsIcon = icon('logs', '<path d="M4 5h16v2H4zm0 4h11v2H4zm0 4h16v2H4zm0 4h8v2H4z"/>');
