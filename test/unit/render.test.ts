import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, expectTypeOf, it } from 'vitest';
import { situationOf } from '../../src/http/error-texts.ts';
import { createLocales } from '../../src/http/locale.ts';
import type { PageData } from '../../src/http/page-data.ts';
import { createRenderer, type Brand } from '../../src/http/render.ts';
import { pageFixtures, withData } from '../support/page-fixtures.ts';
import { localesDirectory, viewsDirectory } from '../support/page-site.ts';

const locales = createLocales(localesDirectory);
const english = locales.chooseLocale({});
const brand: Brand = { name: 'Example Bank', helpUrl: 'https://bank.example/help' };
const renderer = createRenderer({ viewsDirectory, locales, brand });

const markup = '"><script>alert(1)</script>';

/** What a string of the data becomes; undefined leaves it alone. */
type Change = (value: string, key: string) => string | undefined;

/** The parts of an array or a record, and how to make a copy with another part. */
function partsOf(value: object): [string, unknown, (part: unknown) => unknown][] {
  if (value instanceof Date) return [];
  if (Array.isArray(value)) {
    const items: unknown[] = value;
    return items.map((item, index) => ['', item, (part) => items.with(index, part)]);
  }
  return Object.entries(value).map(([name, item]) => [
    name,
    item,
    (part) => ({ ...value, [name]: part }),
  ]);
}

/** Every copy of `value` in which one string has been changed. */
function* withOneChanged(value: unknown, change: Change, key = ''): Generator {
  if (typeof value === 'string') {
    const changed = change(value, key);
    if (changed !== undefined) yield changed;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [name, part, copyWith] of partsOf(value)) {
    for (const changed of withOneChanged(part, change, name)) yield copyWith(changed);
  }
}

/** The form is trusted HTML, and a form's target keeps its beginning: others are refused (see below). */
function toMarkup(value: string, key: string): string | undefined {
  if (key === 'form') return undefined;
  return key === 'action' ? value + markup : markup;
}

function addressesIn(html: string): string[] {
  return [...html.matchAll(/ (?:href|src|action|formaction)="([^"]*)"/g)].map(
    ([, url]) => url ?? '',
  );
}

describe.each(pageFixtures)('the page $name', (fixture) => {
  it('escapes markup in every field', () => {
    const variants = [...withOneChanged(fixture.data, toMarkup)];
    const scripts = variants.map((data) => {
      const html = withData(fixture, data).render(renderer, { locale: english });
      return html.match(/<script/g)?.length;
    });
    expect(scripts).toEqual(variants.map(() => 1));
  });

  it('links to no script, whatever field asks for it', () => {
    for (const url of [
      'javascript:alert(1)',
      'data:text/html,x',
      'JaVaScRiPt:x',
      '//evil.example',
    ]) {
      const toUrl: Change = (_, key) => (key === 'form' || key === 'action' ? undefined : url);
      for (const data of withOneChanged(fixture.data, toUrl)) {
        const html = withData(fixture, data).render(renderer, { locale: english });
        expect(addressesIn(html)).not.toContain(url);
      }
    }
  });

  it('has all its texts in every language, with nothing inline that the policy forbids', () => {
    for (const locale of locales.available) {
      const html = fixture.render(renderer, { locale });
      expect(html).toContain(`<html lang="${locale.tag}" dir="${locale.direction}">`);
      expect(html).not.toMatch(/undefined|\[object|\{\w+\}/);
      expect(html).not.toMatch(/ style=| on\w+=|<style|<script(?! src=)/);
      expect(html.match(/<h1>/g)).toHaveLength(1);
    }
  });
});

describe('the data of a page', () => {
  it('does not compile when it is incomplete', () => {
    type Render = typeof renderer.render;
    expectTypeOf<Render>().toBeCallableWith('logged-out', {}, { locale: english });
    const incomplete = (): string =>
      // @ts-expect-error: the form's token is missing
      renderer.render('login', { action: '/a', clientName: 'x' }, { locale: english });
    expectTypeOf(incomplete).returns.toBeString();
    expectTypeOf<PageData['error']>().toHaveProperty('reference');
  });

  it('names a form target on our own origin only', () => {
    for (const action of ['//evil.example/', '/\\evil.example', 'https://evil.example/', 'x']) {
      const data = { action, csrfToken: 'x', clientName: 'Example Money' };
      expect(() => renderer.render('login', data, { locale: english })).toThrow('our own path');
    }
  });

  it('sends no form to a script', () => {
    const data = { action: 'javascript:alert(1)', fields: [] };
    expect(() => renderer.render('carry-on', data, { locale: english })).toThrow('such an address');
  });
});

describe('the login page', () => {
  const data = { action: '/login', csrfToken: 'token', clientName: 'Example Money' };
  const show = (more: Partial<PageData['login']>) =>
    renderer.render('login', { ...data, ...more }, { locale: english });

  it('has the stable fields and says who sent the customer', () => {
    const html = show({ username: 'anna' });
    expect(html).toMatch(
      /<input [^>]*name="username"[^>]* value="anna"[^>]*autocomplete="username"/,
    );
    expect(html).toMatch(/<input [^>]*name="password"[^>]*autocomplete="current-password"/);
    expect(html).toContain('<input type="hidden" name="csrf" value="token">');
    expect(html).toContain('on your way to Example Money');
    expect(html.indexOf('value="login"')).toBeLessThan(
      html.indexOf('value="cancel" formnovalidate'),
    );
    expect(html).not.toContain('class="problems"');
  });

  it('says how long to wait', () => {
    expect(show({ error: 'login_throttled', retryAfterSeconds: 90 })).toContain('wait 2 minutes');
  });

  it('puts what is missing beside the field and on top', () => {
    const html = show({ error: 'missing_fields', fields: { password: 'missing' } });
    expect(html.match(/Enter your password/g)).toHaveLength(2);
    expect(html).toMatch(
      /name="password"[^>]*aria-invalid="true" aria-describedby="password-error"/,
    );
    expect(html).not.toContain('Enter your user name');
    expect(html).toContain('<title>Error: Sign in to Example Bank – Example Bank</title>');
  });
});

describe('the consent page', () => {
  const data: PageData['consent'] = {
    action: '/consent',
    csrfToken: 'token',
    clientName: 'Example Money',
    resources: [{ name: 'Accounts', permissions: ['See your balances'] }],
    claims: ['email', 'loyalty'],
    until: new Date(Date.UTC(2027, 1, 20, 15, 4)),
    redirectHost: 'money.example',
  };
  const show = (more: Partial<PageData['consent']>) =>
    renderer.render('consent', { ...data, ...more }, { locale: english });

  it('says what, until when and where to, with answers of equal weight', () => {
    const html = show({});
    expect(html).toContain('See your balances');
    expect(html).toContain('See your email address');
    expect(html).toContain('Use “loyalty”');
    expect(html).toContain('Until 20 February 2027 at 15:04 UTC at the latest.');
    expect(html).toContain('go back to money.example');
    const answers = [
      ...html.matchAll(
        /<button class="([^"]+)" type="submit" name="decision" value="(allow|deny)">/g,
      ),
    ];
    expect(answers.map(([, style, answer]) => [style, answer])).toEqual([
      ['button', 'allow'],
      ['button', 'deny'],
    ]);
  });

  it('shows a logo of our own origin only', () => {
    expect(show({ logoUri: '/assets/logo.svg' })).toContain('src="/assets/logo.svg"');
    expect(show({ logoUri: 'https://money.example/logo.svg' })).not.toContain('logo.svg');
  });
});

describe('the error page', () => {
  const show = (code: string, backUrl?: string) =>
    renderer.render('error', { code, reference: 'r-1', backUrl }, { locale: english });

  it('tells an unforeseen failure as our own, with the reference', () => {
    for (const code of ['something_new', 'constructor', '__proto__']) {
      expect(situationOf(code)).toBe('server');
      expect(show(code)).toContain('Something went wrong on our side');
    }
    expect(show('something_new')).toContain('<code>r-1</code>');
  });

  it('never says that nothing has changed where that is not known yet', () => {
    const html = show('request_given_up');
    expect(html).toContain('We can’t tell you yet whether anything has changed.');
    expect(html).not.toContain('Nothing has changed');
    expect(html).toContain('href="/account/consents"');
    const own = { code: 'request_given_up', reference: 'r-1', isOwnPage: true };
    expect(renderer.render('error', own, { locale: english })).toContain('Before you try again');
  });

  it('leads back by web addresses and applications’ own schemes only', () => {
    expect(show('access_denied', 'https://money.example/cb')).toContain('Back to the app');
    expect(show('access_denied', 'com.example.money:/cb')).toContain('Back to the app');
    expect(show('access_denied', 'javascript:alert(1)')).not.toContain('Back to the app');
  });
});

describe('the renderer', () => {
  const copies: string[] = [];

  afterEach(() => {
    for (const copy of copies.splice(0)) rmSync(copy, { recursive: true });
  });

  it.each(['login.eta', 'partials/footer.eta'])('refuses to start with a broken %s', (name) => {
    const copy = mkdtempSync(path.join(tmpdir(), 'countersign-views-'));
    copies.push(copy);
    cpSync(viewsDirectory, copy, { recursive: true });
    writeFileSync(path.join(copy, name), '<% if (it.title { %>');
    expect(() => createRenderer({ viewsDirectory: copy, locales, brand })).toThrow(
      'template syntax',
    );
  });

  it('reads no template after the start', () => {
    const copy = mkdtempSync(path.join(tmpdir(), 'countersign-views-'));
    cpSync(viewsDirectory, copy, { recursive: true });
    const early = createRenderer({ viewsDirectory: copy, locales, brand });
    rmSync(copy, { recursive: true });
    for (const fixture of pageFixtures) {
      expect(fixture.render(early, { locale: english })).toContain('</html>');
    }
  });

  it.each([
    { logoUrl: 'https://cdn.example/logo.svg' },
    { themeUrl: '//cdn.example/theme.css' },
    { helpUrl: 'javascript:alert(1)' },
    { passwordHelpUrl: 'help' },
  ])('refuses to start with the brand %j', (wrong) => {
    const options = { viewsDirectory, locales, brand: { ...brand, ...wrong } };
    expect(() => createRenderer(options)).toThrow(
      expect.objectContaining({ code: 'configuration_invalid' }),
    );
  });

  it('shows the bank’s logo, theme and help, escaped', () => {
    const themed = createRenderer({
      viewsDirectory,
      locales,
      brand: {
        name: markup,
        logoUrl: '/assets/brand-logo.png',
        themeUrl: '/assets/theme.css',
        passwordHelpUrl: 'https://bank.example/password?a=1&b=2',
      },
    });
    const data = { action: '/login', csrfToken: 'x', clientName: 'Example Money' };
    const html = themed.render('login', data, { locale: english });
    expect(html).toContain('<img class="bank-logo" src="/assets/brand-logo.png" alt="">');
    expect(html.indexOf('countersign.css')).toBeLessThan(html.indexOf('/assets/theme.css'));
    expect(html).toContain('href="https://bank.example/password?a=1&amp;b=2"');
    expect(html.match(/<script/g)).toHaveLength(1);
  });

  it('offers the other languages when it is told where they are', () => {
    const show = (languageUrl?: (tag: string) => string) =>
      renderer.render('logged-out', {}, { locale: english, languageUrl });
    expect(show()).not.toContain('hreflang');
    const html = show((tag) => `/page?a="&ui_locales=${tag}`);
    expect(html).toContain(
      'href="/page?a=&quot;&amp;ui_locales=de" lang="de" hreflang="de">Deutsch',
    );
    expect(html).toMatch(/hreflang="en" aria-current="true">English/);
  });
});
