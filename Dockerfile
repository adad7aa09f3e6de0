# The same image for the server and the commands:
#   docker run … countersign                                    the server
#   docker run … countersign node src/cli/index.ts migrate      a command
# test/architecture/image.test.ts runs these steps; it knows FROM, WORKDIR, COPY, RUN, ENV, USER, EXPOSE,
# STOPSIGNAL, HEALTHCHECK and CMD. The optional packages are Node and Postgres for machines without them.

# Prisma's client is generated code; only this stage needs the development tools.
FROM node:24-slim AS generate
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=optional --ignore-scripts
COPY prisma.config.ts ./
COPY prisma/ prisma/
COPY tools/prisma-schema-engine/ tools/prisma-schema-engine/
RUN npx --no-install prisma generate

# argon2 brings its binaries in the package: no install script is needed, and none is run.
FROM node:24-slim AS production
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM node:24-slim
ENV NODE_ENV=production
ENV COUNTERSIGN_LISTEN_ADDRESS=0.0.0.0
# glibc keeps what threads gave back in two places and not in sixteen: 120 MB less resident.
ENV MALLOC_ARENA_MAX=2
# glibc gives argon2's blocks back after each login: 70 MB less resident, for 7 ms CPU a login.
ENV MALLOC_MMAP_THRESHOLD_=8388608
WORKDIR /app
COPY package.json LICENSE NOTICE ./
COPY --from=production /app/node_modules/ node_modules/
COPY prisma/migrations/ prisma/migrations/
COPY views/ views/
COPY src/ src/
COPY --from=generate /app/src/database/generated/ src/database/generated/
# Everything above belongs to root: the server can't change its own code.
USER node
EXPOSE 3443 3444
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:3445/readyz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Bigger young generations: fewer collections while tokens are signed.
CMD ["node", "--max-semi-space-size=8", "src/main.ts"]
