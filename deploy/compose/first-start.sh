# Postgres' image runs this once, when it makes its data: MLflow's own database, with a login that knows no other, and the
# login by which a replica copies the log.
psql -v ON_ERROR_STOP=1 --no-psqlrc --host /var/run/postgresql --username "${POSTGRES_USER:-postgres}" --dbname "$POSTGRES_DB" <<'SQL'
\getenv mlflow MLFLOW_DATABASE_PASSWORD
\getenv replication REPLICATION_PASSWORD
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow';
CREATE DATABASE mlflow OWNER mlflow;
REVOKE ALL ON DATABASE mlflow FROM PUBLIC;
CREATE ROLE replication LOGIN REPLICATION PASSWORD :'replication';
SQL
printf 'host replication replication all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
