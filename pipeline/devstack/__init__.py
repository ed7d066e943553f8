"""The embedded broker and ClickHouse, for laptops, tests and the demo."""
