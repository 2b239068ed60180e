"""Pairs of instructions that say the same in other words."""

from __future__ import annotations

PARAPHRASES = [
    ("List three ways to save water at home.", "How can a household use less water? Give three ideas."),
    ("Write a short poem about the first snow.", "Compose a few verses on snow falling for the first time."),
    ("Explain how a bicycle gear works.", "Describe what the gears on a bike do and why they help."),
    ("Find and correct the spelling mistakes.", "Proofread this passage and fix any misspelled words."),
    (
        "Suggest a name for a bakery run by two sisters.",
        "Two sisters open a bread shop; what could it be called?",
    ),
    ("Is the film review positive or negative?", "Tell me if the critic liked the movie or not."),
    ("Summarise the news article in two sentences.", "Give a two-sentence digest of the report below."),
    ("Sort the numbers from smallest to largest.", "Arrange these figures in ascending order."),
    (
        "How does weather differ from climate?",
        "Explain the difference between climate and the weather of a day.",
    ),
    (
        "Write a Python function that reverses a string.",
        "Implement code in Python which returns text backwards.",
    ),
    ("Name five animals that sleep through winter.", "Which creatures hibernate? Mention five of them."),
    (
        "Plan a training for a first marathon.",
        "Set up a schedule for a beginner who wants to run 42 kilometres.",
    ),
]
