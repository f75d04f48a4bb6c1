from django.db import migrations, models

from authsvc.online import AddIndexOnline


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('mail', '0002_lane'),
    ]

    operations = [
        AddIndexOnline(
            model_name='outgoingmail',
            index=models.Index(fields=['recipient', 'template', 'created_at'], name='mail_of_kind_to_recipient'),
        ),
    ]
