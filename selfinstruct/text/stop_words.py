"""Words that do not tell what a text is about, by language. To add a language, add a list.

They are left out where the most common words are shown. The lists for Chinese and Japanese have pairs of
characters, as `text.common_words` counts them.
"""

from __future__ import annotations

STOP_WORDS = {
    language: frozenset(words.split())
    for language, words in {
        "en": """
            a an and any are as at be been being but by can could do does each for from had has have he her
            his how i if in into is it its me more most my no not of on one or other our please she should so
            some such than that the their them then there these they this those to two up us use using was we
            were what when where which while who will with would you your
        """,
        "de": """
            aber alle als am an auch auf aus bei bis bitte da damit dann das dass dein deine dem den der des
            die dir du durch ein eine einem einen einer eines er es für hat haben ich ihr ihre im in ist ja
            kann kannst können man mehr mein meine mich mir mit möchte nach nicht noch nur oder sein seine
            sich sie sind so soll sollte über um und uns unter von vor war was wenn wer werden wie wird wir wo
            zu zum zur zwei
        """,
        "es": """
            a al algo como con cual cuál de del dos el ella en entre era es esta está este esto ha hay la las
            le lo los más me mi muy no o para pero por puede que qué se ser si sin sobre son su sus te tu un
            una uno unos y
        """,
        "fr": """
            à au aux avec ce ces cet cette comme dans de des deux du elle en entre est et être il ils je la le
            les leur l d qu s n c j lui ma mais mes mon ne nous on ou par pas plus pour que quel quelle qui sa
            se ses si son sont sur ta te tes ton tu un une vos votre vous y
        """,
        "it": """
            a ai al alla anche che chi ci come con da dei del della delle di due e è gli ha i il in l la le lo
            ma mi nel nella non o per più quale questo se si sono su sua suo tra un una uno
        """,
        "ja": "以下 次の 場合 一つ 二つ 三つ",
        "nl": """
            aan als bij dat de deze die dit door een en er het hij hoe ik in is je jouw kan met naar niet of
            om ook op over te tot uit van voor was wat we welke worden wordt zijn ze
        """,
        "pt": """
            a ao aos as até com como da das de do dos dois e é ela ele em entre era essa esse está este eu foi
            há isso mais mas me meu na não nas no nos o os ou para pela pelo por qual que se sem ser seu seus
            sobre sua são te tem um uma você
        """,
        "zh": """
            一个 以下 下列 这个 那个 什么 如何 一下 下面 一种 可以 我们 他们 一些 两个 三个 以及 或者 并且
            哪个 是否 为什 是什 定的 面的 中的 里的 的句
        """,
    }.items()
}
