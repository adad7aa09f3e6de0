import { describe, expect, it } from 'vitest';
import { createMetrics } from '../../src/observability/metrics.ts';

describe('metrics', () => {
  it('are rendered with their labels, beside the process and version', async () => {
    const metrics = createMetrics({ version: '1.2.3' });
    metrics.httpRequestSeconds.observe({ route: 'token', method: 'POST', status: '200' }, 0.004);
    metrics.tokensIssued.increment({ grant_type: 'client_credentials', format: 'jwt' });
    metrics.logins.increment({ outcome: 'failed' }, 3);
    metrics.auditQueue.set({}, 7);
    metrics.auditDropped.increment({});
    metrics.passwordHashSeconds.observe({}, 0.03);
    const text = await metrics.text();
    expect(metrics.contentType).toContain('text/plain');
    for (const line of [
      'countersign_info{version="1.2.3"} 1',
      'countersign_http_request_seconds_count{route="token",method="POST",status="200"} 1',
      'countersign_http_request_seconds_bucket{le="0.005",route="token",method="POST",status="200"} 1',
      'countersign_tokens_issued_total{grant_type="client_credentials",format="jwt"} 1',
      'countersign_logins_total{outcome="failed"} 3',
      'countersign_audit_queue 7',
      'countersign_audit_dropped_total 1',
      'countersign_password_hash_seconds_count 1',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
    expect(text).toContain('nodejs_eventloop_lag_seconds');
  });

  it('never take label values of callers', async () => {
    const metrics = createMetrics();
    metrics.tokensIssued.increment({ grant_type: 'urn:evil', format: 'x' });
    metrics.refusals.increment({ endpoint: 'token\n"}', error: '<script>' });
    metrics.httpRequestSeconds.observe({ route: '/a b', method: 'BREW', status: '999' }, 1);
    metrics.logins.increment({ outcome: 'alice' });
    const text = await metrics.text();
    const ours = text.split('\n').filter((line) => /^countersign_\w+\{/.test(line));
    expect(ours.join('\n')).not.toMatch(/evil|script|BREW|999|alice|\/a b/);
    expect(text).toContain('countersign_refusals_total{endpoint="other",error="other"} 1');
  });

  it('stay bounded where the set of values grows at run time', async () => {
    const metrics = createMetrics();
    for (let index = 0; index < 1000; index += 1) {
      metrics.cleanupDeletedRows.increment({ table: `table_${String(index)}` });
    }
    const text = await metrics.text();
    expect(text.match(/^countersign_cleanup_deleted_rows_total\{/gm)).toHaveLength(31);
    expect(text).toContain('countersign_cleanup_deleted_rows_total{table="other"} 970');
  });

  it('count label values of which there are too many to remember', async () => {
    const metrics = createMetrics();
    for (let index = 0; index < 2000; index += 1) {
      metrics.refusals.increment({ endpoint: 'token', error: `e${String(index % 1000)}` });
    }
    expect(await metrics.text()).toContain(
      'countersign_refusals_total{endpoint="token",error="other"} 2000',
    );
  });

  it('are read at the moment of the scrape where asked for', async () => {
    const metrics = createMetrics();
    let idle = 1;
    metrics.onScrape(() => {
      metrics.databasePool.set({ state: 'idle' }, idle);
    });
    expect(await metrics.text()).toContain('countersign_database_pool{state="idle"} 1');
    idle = 5;
    expect(await metrics.text()).toContain('countersign_database_pool{state="idle"} 5');
  });

  it('of two instances are apart', async () => {
    createMetrics().auditQueue.set({}, 5);
    expect(await createMetrics().text()).toContain('countersign_audit_queue 0');
  });
});
