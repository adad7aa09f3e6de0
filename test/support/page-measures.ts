import type { Page } from 'playwright-core';

// Run in the page, hence as text: the project's types are those of a server.

const clipped = `
  const { scrollWidth, clientWidth } = document.documentElement;
  const card = document.querySelector('.card').getBoundingClientRect();
  const sticksOut = (element) => {
    const { left, right, width } = element.getBoundingClientRect();
    return width > 0 && (left < card.left - 0.5 || right > card.right + 0.5);
  };
  const wide = scrollWidth > clientWidth ? ['the page by ' + (scrollWidth - clientWidth)] : [];
  [...wide, ...[...document.querySelectorAll('.card *')].filter(sticksOut).map(openingTag)]
`;

const small = `
  const isSmall = (element) => {
    const { height, width } = element.getBoundingClientRect();
    return height > 0 && (height < 44 || width < 44);
  };
  [...document.querySelectorAll('button, input, .button, .foot-link')].filter(isSmall).map(openingTag)
`;

const openingTag = `const openingTag = ({ outerHTML }) => outerHTML.split('>')[0];`;

/** Sets the size of all text, as a customer does in the browser's settings. */
export async function setTextSize(page: Page, percentage: number): Promise<void> {
  await page.evaluate(`document.documentElement.style.fontSize = '${String(percentage)}%'`);
}

/** What sticks out sideways of its card or of the window. */
export function clippedParts(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`{ ${openingTag} ${clipped} }`);
}

/** Controls under 44 px; links within a sentence may be smaller (WCAG 2.2, 2.5.8). */
export function smallTargets(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`{ ${openingTag} ${small} }`);
}

/** The visible text of what has the focus. */
export function focusedText(page: Page): Promise<string> {
  return page.evaluate<string>('document.activeElement.textContent.trim()');
}

/** The outline of what has the focus, such as `solid 3px`. */
export function focusOutline(page: Page): Promise<string> {
  return page.evaluate<string>(`{
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
    outlineStyle + ' ' + outlineWidth;
  }`);
}

/** Size and colours of every element that matches, one JSON text for each. */
export function weights(page: Page, selector: string): Promise<string[]> {
  return page.evaluate<string[]>(`
    [...document.querySelectorAll(${JSON.stringify(selector)})].map((element) => {
      const { width, height } = element.getBoundingClientRect();
      const { backgroundColor, borderColor, color, fontSize, fontWeight } = getComputedStyle(element);
      const looks = { backgroundColor, borderColor, color, fontSize, fontWeight };
      return JSON.stringify({ width, height, ...looks });
    })
  `);
}

/** Lets the page's own handlers of a submission run, and sends nothing. */
export async function sendNothing(page: Page): Promise<void> {
  await page.evaluate(
    "document.addEventListener('submit', (event) => { event.preventDefault(); }), undefined",
  );
}

/** Whether the page's own handlers let a submission of its form pass. */
export function tryToSend(page: Page): Promise<boolean> {
  return page.evaluate<boolean>(
    "document.forms[0].dispatchEvent(new SubmitEvent('submit', { cancelable: true }))",
  );
}
