// The demo needs the same browser, and must not import from test/.
export { launchBrowser } from '../../tools/browser.ts';
