# `make` alone lists what there is. Every target makes .venv itself, once, from the hash-pinned list.

PYTHON ?= python3
BIN := .venv/bin
SERVICES := shared collector predictor api simulator deploy
CODE := $(SERVICES) tests benchmarks
GROUPS := install migrate collector predictor mlflow api simulator local

.DEFAULT_GOAL := help
.PHONY: help .venv run demo up down test check check-files format bench requirements env-example clean tidy

help: ## list the targets
	@awk -F ':.*## ' '/^[.a-z-]+:.*## / { printf "  \033[1mmake %-13s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv: .venv/complete ## make the virtual environment, from requirements/development.txt

.venv/complete: requirements/install.txt requirements/development.txt
	@$(PYTHON) -c 'import sys; sys.exit("Minutebook needs Python 3.11 or newer; try: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@echo "Installing Minutebook's packages into .venv, about half a minute."
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/install.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements/development.txt || { \
		echo "Once more with pip, whose own settings may know another index; that takes about a minute."; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/development.txt; \
	}
	@touch $@

run: .venv ## run everything on this machine, live from Binance
	@exec $(BIN)/python -m deploy.local run

demo: .venv ## run everything on this machine against the simulator, offline
	@exec $(BIN)/python -m deploy.local demo

up: ## the Compose stack, returning when it is healthy; DEMO=1: with the simulator; API_REPLICAS=3, GATEWAY_PORT=8080
	@$(PYTHON) -m deploy.compose.env_file $(if $(filter-out 0 no false,$(DEMO)),--demo)
	@docker compose build --quiet
	@docker compose up --detach --wait --remove-orphans || { \
		docker compose ps --all; \
		ended="$$(docker compose ps --all --status exited --status restarting --services)"; \
		test -z "$$ended" || docker compose logs --tail 2 $$ended >&2; \
		echo "It is not healthy. What a service said: docker compose logs SERVICE" >&2; \
		exit 1; \
	}
	@echo "Minutebook answers at http://127.0.0.1:$$(docker compose port gateway 8080 | sed 's/.*://')"

down: ## stop the Compose stack; its volumes keep everything
	@test -f .env || { echo "There is no .env: nothing was started with \`make up\` here." >&2; exit 2; }
	@docker compose --profile '*' down --remove-orphans

test: .venv ## run all tests, four at a time; TESTS="tests/unit -k klines" runs some
	@$(BIN)/python -m pytest --numprocesses 4 $(TESTS)

check: .venv check-files ## format, lint, types, import rules, and what every file has to keep to
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# All files that are or could be committed; -I leaves out what is no text. The first two mend what they find, and fail.
check-files: .venv
	@git grep --untracked -zIl '' | xargs -0 $(BIN)/trailing-whitespace-fixer
	@git grep --untracked -zIl '' | xargs -0 $(BIN)/end-of-file-fixer
	@git grep --untracked -zIl '' | xargs -0 $(BIN)/mixed-line-ending --fix=no
	@git grep --untracked -zIl '' | xargs -0 $(BIN)/check-merge-conflict --assume-in-merge
	@git grep --untracked -zIl '' | xargs -0 $(BIN)/detect-private-key
	@git grep --untracked -zl '' | xargs -0 $(BIN)/check-added-large-files --enforce-all --maxkb=500
	@git grep --untracked -zl '' | xargs -0 $(BIN)/check-shebang-scripts-are-executable
	@git grep --untracked -zl '' '*.yml' '*.yaml' | xargs -0 $(BIN)/check-yaml --allow-multiple-documents
	@git grep --untracked -zl '' '*.toml' | xargs -0 $(BIN)/check-toml
	@git grep --untracked -zl '' '*.json' | xargs -0 --no-run-if-empty $(BIN)/check-json

format: .venv ## put the code into its format
	@$(BIN)/ruff check --quiet --fix $(CODE) || true
	@$(BIN)/ruff format $(CODE)

bench: .venv ## run the benchmarks, with their ratios
	@$(BIN)/python -m benchmarks

requirements: .venv ## compile pyproject's groups into the hash-pinned lists
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --no-header \
		--group pyproject.toml:development --output-file requirements/development.txt
	@for group in $(GROUPS); do \
		$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --no-header \
			--constraint requirements/development.txt --group pyproject.toml:$$group --output-file requirements/$$group.txt; \
	done

env-example: .venv ## write .env.example from the settings classes
	@$(BIN)/python -m deploy.env_example > .env.example

clean: ## remove the Compose stack with its volumes, the local state and the tools' caches; asks first, CONFIRM=yes answers
	@echo "This removes all that was collected here: Compose's volumes (the database, the models), .minutebook and .venv."
	@answer="$(CONFIRM)"; test -n "$$answer" || { printf 'Type "yes" to remove it: '; read -r answer || true; }; \
		test "$$answer" = yes || { echo "Nothing was removed."; exit 1; }
	@# By its name alone, so that a stack whose .env was lost goes too.
	@name="$${COMPOSE_PROJECT_NAME:-$$(sed -n 's/^COMPOSE_PROJECT_NAME=//p' .env 2>/dev/null)}"; \
		if docker info >/dev/null 2>&1; then \
			(cd / && docker compose --project-name "$${name:-minutebook}" down --remove-orphans --volumes); \
		else echo "No container engine answers, so Compose's volumes stay if there are any."; fi
	@rm -rf .minutebook
	@$(MAKE) --no-print-directory tidy

tidy: ## remove .venv and the tools' caches; what was collected stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find $(CODE) -name __pycache__ -prune -exec rm -rf {} +
