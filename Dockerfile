# Fullsteam in one image: `fullsteam run` on SQLite in /data, or web, worker and clock on PostgreSQL (see Procfile).
FROM python:3.12-slim
WORKDIR /app
COPY requirements/runtime.txt requirements/runtime.in requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE slack-manifest.json ./
COPY bot bot
COPY store store
COPY sandbox sandbox
COPY examples examples
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && useradd --create-home fullsteam && mkdir /data && chown fullsteam /data
USER fullsteam
WORKDIR /data
ENV FULLSTEAM_HOST=0.0.0.0
EXPOSE 8000
CMD ["fullsteam", "run"]
