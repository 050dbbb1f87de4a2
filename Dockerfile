# One target a service: docker build --target api --tag minutebook/api:0.1.0 .
# Packages and bytecode are made in stages of their own; what runs has neither pip nor compiler nor another service's code.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS builder
# Bytecode, here and below, is never checked against its source: the same bytes for the same commit, and no writes later.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_LINK_MODE=copy PYC_INVALIDATION_MODE=UNCHECKED_HASH
# No file is dated when it was built.
ENV SOURCE_DATE_EPOCH=0
COPY requirements/install.txt /requirements/
RUN python3 -m venv /uv && /uv/bin/pip install --quiet --require-hashes --requirement /requirements/install.txt \
 && python3 -m venv --without-pip /venv

FROM builder AS migrate-packages
COPY requirements/migrate.txt /requirements/
RUN /uv/bin/uv pip install --quiet --python /venv/bin/python \
    --compile-bytecode --require-hashes --requirement /requirements/migrate.txt \
 && find /venv -type d \( -name test -o -name tests -o -name SelfTest \) -prune -exec rm -rf {} + \
 && find /venv -exec touch --no-dereference --date=@$SOURCE_DATE_EPOCH {} +
FROM builder AS collector-packages
COPY requirements/collector.txt /requirements/
RUN /uv/bin/uv pip install --quiet --python /venv/bin/python \
    --compile-bytecode --require-hashes --requirement /requirements/collector.txt \
 && find /venv -type d \( -name test -o -name tests -o -name SelfTest \) -prune -exec rm -rf {} + \
 && find /venv -exec touch --no-dereference --date=@$SOURCE_DATE_EPOCH {} +
FROM builder AS predictor-packages
COPY requirements/predictor.txt /requirements/
RUN /uv/bin/uv pip install --quiet --python /venv/bin/python \
    --compile-bytecode --require-hashes --requirement /requirements/predictor.txt \
 && find /venv -type d \( -name test -o -name tests -o -name SelfTest \) -prune -exec rm -rf {} + \
 && find /venv -exec touch --no-dereference --date=@$SOURCE_DATE_EPOCH {} +
FROM builder AS api-packages
COPY requirements/api.txt /requirements/
RUN /uv/bin/uv pip install --quiet --python /venv/bin/python \
    --compile-bytecode --require-hashes --requirement /requirements/api.txt \
 && find /venv -type d \( -name test -o -name tests -o -name SelfTest \) -prune -exec rm -rf {} + \
 && find /venv -exec touch --no-dereference --date=@$SOURCE_DATE_EPOCH {} +
FROM builder AS simulator-packages
COPY requirements/simulator.txt /requirements/
RUN /uv/bin/uv pip install --quiet --python /venv/bin/python \
    --compile-bytecode --require-hashes --requirement /requirements/simulator.txt \
 && find /venv -type d \( -name test -o -name tests -o -name SelfTest \) -prune -exec rm -rf {} + \
 && find /venv -exec touch --no-dereference --date=@$SOURCE_DATE_EPOCH {} +
FROM builder AS mlflow-packages
COPY requirements/mlflow.txt /requirements/
RUN /uv/bin/uv pip install --quiet --python /venv/bin/python \
    --compile-bytecode --require-hashes --requirement /requirements/mlflow.txt \
 && find /venv -type d \( -name test -o -name tests -o -name SelfTest \) -prune -exec rm -rf {} + \
 && find /venv -exec touch --no-dereference --date=@$SOURCE_DATE_EPOCH {} +

FROM ${PYTHON_IMAGE} AS code
COPY . /app/
# Whatever the umask was where it was cloned, the services' user has to read it.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app && chmod -R a+rX /app \
 && find /app -exec touch --no-dereference --date=@0 {} +

# What changes with each commit comes last in a target, so that the layers before it stay as they are.
FROM ${PYTHON_IMAGE} AS runtime
RUN rm -rf /usr/local/bin/pip* /usr/bin/pip* /usr/local/lib/python3*/site-packages/pip* /usr/lib/python3/dist-packages/pip* \
    /usr/local/lib/python3*/ensurepip /usr/lib/python3*/ensurepip
# A user without an entry in /etc/passwd has its name from here, and MLflow is not to look for a git.
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp USER=minutebook GIT_PYTHON_REFRESH=quiet
WORKDIR /app
USER 10001:10001
LABEL org.opencontainers.image.title=Minutebook org.opencontainers.image.licenses=Apache-2.0

FROM runtime AS migrate
COPY --from=migrate-packages /venv /venv
COPY --from=code /app/pyproject.toml /app/LICENSE ./
COPY --from=code /app/init.sql ./
COPY --from=code /app/shared shared
CMD ["python", "-m", "shared.database", "migrate"]
ARG VERSION=unknown REVISION=unknown
LABEL org.opencontainers.image.version=$VERSION org.opencontainers.image.revision=$REVISION

FROM runtime AS collector
COPY --from=collector-packages /venv /venv
COPY --from=code /app/pyproject.toml /app/LICENSE ./
COPY --from=code /app/shared shared
COPY --from=code /app/collector collector
ENV HEALTH_FILE=/tmp/alive
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-m", "shared.health"]
CMD ["python", "-m", "collector", "run"]
ARG VERSION=unknown REVISION=unknown
LABEL org.opencontainers.image.version=$VERSION org.opencontainers.image.revision=$REVISION

FROM runtime AS predictor
# A volume takes its first owner from the image, and only the predictor is to write there.
USER 0
RUN install --directory --owner 10001 --group 10001 /var/lib/minutebook
USER 10001:10001
COPY --from=predictor-packages /venv /venv
COPY --from=code /app/pyproject.toml /app/LICENSE ./
COPY --from=code /app/shared shared
COPY --from=code /app/predictor predictor
ENV HEALTH_FILE=/tmp/alive PREDICTOR_CACHE=/var/lib/minutebook/models
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "shared.health"]
CMD ["python", "-m", "predictor", "run"]
ARG VERSION=unknown REVISION=unknown
LABEL org.opencontainers.image.version=$VERSION org.opencontainers.image.revision=$REVISION

FROM runtime AS simulator
COPY --from=simulator-packages /venv /venv
COPY --from=code /app/pyproject.toml /app/LICENSE ./
COPY --from=code /app/shared shared
COPY --from=code /app/simulator simulator
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9100/api/v3/ping', timeout=4)"]
CMD ["python", "-m", "simulator", "--host", "0.0.0.0"]
ARG VERSION=unknown REVISION=unknown
LABEL org.opencontainers.image.version=$VERSION org.opencontainers.image.revision=$REVISION

FROM runtime AS mlflow
COPY --from=mlflow-packages /venv /venv
COPY --from=code /app/pyproject.toml /app/LICENSE ./
COPY --from=code /app/shared shared
COPY --from=code /app/deploy deploy
HEALTHCHECK --interval=20s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health', timeout=4)"]
CMD ["python", "-W", "ignore:starlette.middleware.wsgi", "-m", "uvicorn", "mlflow.server.fastapi_app:app", \
     "--host", "0.0.0.0", "--port", "5000", "--log-level", "warning", "--no-access-log", \
     "--timeout-graceful-shutdown", "5"]
ARG VERSION=unknown REVISION=unknown
LABEL org.opencontainers.image.version=$VERSION org.opencontainers.image.revision=$REVISION

FROM runtime AS api
COPY --from=api-packages /venv /venv
COPY --from=code /app/pyproject.toml /app/LICENSE ./
COPY --from=code /app/shared shared
COPY --from=code /app/api api
ENV API_HOST=0.0.0.0
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
CMD ["python", "-m", "api"]
ARG VERSION=unknown REVISION=unknown
LABEL org.opencontainers.image.version=$VERSION org.opencontainers.image.revision=$REVISION
