//! The integration tests of wasmill, in one binary, so that they link once. `cargo xtask test` builds what they
//! need: the program, and one guest for each behaviour.

mod analysis;
mod bad_input;
mod batching;
mod behaviours;
mod bombs;
mod browser;
mod components;
mod crashes;
mod event_schema;
mod example;
mod example_course_notes;
mod example_solver_race;
mod example_text_index;
mod example_thumbnails;
mod example_warm_javascript;
mod exec;
mod exporting;
mod foreign;
mod growing;
mod guide;
mod history;
mod initialised;
mod large;
mod narrowing;
mod observing;
mod plans;

mod project;
mod python;
mod races;
mod repeating;
mod report_page;
mod resuming;
mod settings;
mod sharing;
mod store;
mod support;
mod telemetry;
mod tidy;
mod trees;
mod tuning;
mod typed;
mod typed_outputs;
mod verify;
mod workers;
